"""Our own SIP bridge: one signalling process, and the media processes it looks after."""
