"""The vocabulary all parts share: models and pure functions; no I/O, no clock, no other import."""
