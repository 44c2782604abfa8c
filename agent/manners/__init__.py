"""How the bot behaves on a phone: pure policies, with `now` passed in (monotonic seconds)."""
