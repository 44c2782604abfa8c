"""The playback clock, which bridges and agents share."""

from contracts.playout import (
    FRAME_S,
    MAX_CATCH_UP_S,
    MAX_HELD_S,
    Frame,
    Playout,
    PlayoutEvent,
    Stopped,
)

__all__ = [
    "FRAME_S",
    "MAX_CATCH_UP_S",
    "MAX_HELD_S",
    "Frame",
    "Playout",
    "PlayoutEvent",
    "Stopped",
]
