"""Follows the audio of a call that we placed, also where none comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from agent.ear import Ear
from agent.machine.hearing import Hearing
from agent.machine.voice import Window

GAP_S = 0.3
"""So long may audio be late. A line that brings none for longer is silent: some phones send
nothing while nobody speaks."""


class Listening:
    """Gives `step` every window from now on, until `stop`."""

    def __init__(self, ear: Ear, rate_hz: int, step: Callable[[Window], None]) -> None:
        self._ear = ear
        self._gap = bytes(2 * round(rate_hz * GAP_S))
        self._step = step
        self._hearing = Hearing(rate_hz)
        self._looked_s = 0.0
        self._is_over = False
        self._timer = self._look_later()
        ear.follower = self._hear

    @property
    def now_s(self) -> float:
        """How much has been heard, silence included."""
        return self._hearing.heard_s

    def stop(self) -> None:
        """Listen no more."""
        self._is_over = True
        self._ear.follower = None
        self._timer.cancel()

    def _hear(self, pcm: bytes) -> None:
        for window in self._hearing.hear(pcm):
            if self._is_over:
                return
            self._step(window)

    def _look(self) -> None:
        if self.now_s == self._looked_s:
            self._hear(self._gap)
        self._looked_s = self.now_s
        if not self._is_over:
            self._timer = self._look_later()

    def _look_later(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(GAP_S, self._look)
