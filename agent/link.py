"""A call's audio as the conversation sees it, however it travels through the room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from agent.ear import Ear
from agent.leg_clock import LegClock
from agent.room_audio import RoomAudioOutput
from agent.room_input import RoomAudioInput


class Link(Protocol):
    """Both ways between this agent and its caller: `MediaLink` by data, `TrackLink` by tracks.

    Attributes:
        input: the caller's voice.
        output: the bot's.
        clock: the agent's own seconds.
        leg_clock: what those are on the axis of the phone's leg, and of the recording.
        ear: when the caller made a sound.
    """

    input: RoomAudioInput
    output: RoomAudioOutput
    clock: Callable[[], float]
    leg_clock: LegClock
    ear: Ear

    async def run(self) -> None:
        """Carry the audio until cancelled or the room is gone; begin once the call is ours."""
        ...

    def open(self) -> None:
        """The phone is answered: from now on the caller is heard, and hears."""
        ...

    def close(self) -> None:
        """Stop listening and finish what was playing."""
        ...
