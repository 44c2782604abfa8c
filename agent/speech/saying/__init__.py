"""Written text as it is said, in the language of a bot's voice, while a model still writes it."""
