"""Set-up and upkeep, run by the Makefile; the standard library only: nothing is there yet."""
