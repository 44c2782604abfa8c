"""Whole fleets under load whose parts are killed, stopped, starved and lied to."""
