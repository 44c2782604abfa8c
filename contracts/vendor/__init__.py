"""Which vendors a bot may name, what each of them takes, and what is wrong with a bot's choice."""
