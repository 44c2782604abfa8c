"""A call by text as the conversation sees it: a link that carries no sound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from agent.ear import Ear
from agent.leg_clock import LegClock
from agent.room_audio import RoomAudioOutput
from agent.room_input import RoomAudioInput


class TextLink:
    """A `Link` both ways of which stay silent: they are attached to no session.

    Args:
        rate_hz: of the audio there would be.
        clock: wall time in seconds, as the framework has it.
    """

    def __init__(self, rate_hz: int, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.leg_clock = LegClock()
        self.ear = Ear(rate_hz)
        self.input = RoomAudioInput(rate_hz)
        self.output = RoomAudioOutput(lambda _: None, rate_hz, clock)

    async def run(self) -> None:
        """Wait until cancelled."""
        await asyncio.Event().wait()

    def open(self) -> None:
        """Nothing is heard."""

    def close(self) -> None:
        """Nothing was playing."""
