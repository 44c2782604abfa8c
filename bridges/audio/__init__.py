"""Clocks and chunks for call audio: pure, with `now` passed in."""
