"""Whether a person or a machine took a call that we placed, and how each is spoken to."""
