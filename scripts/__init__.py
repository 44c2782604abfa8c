"""Set-up and upkeep, run by the Makefile; the standard library only: nothing is there yet."""

import sys

# Here, before any module of ours imports what an older Python does not have.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("Set-up needs python3 to be Python 3.11 or newer; name one: make PYTHON=python3.12 …")
