"""The SIP bridge measured: how soon it answers, what it adds to audio's way, what a call costs."""
