"""A call's audio between agent and phone: the playback clock's driver, whatever the carrier."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

from bridges.audio.lateness import Lateness
from bridges.audio.uplink import Uplink
from bridges.clock import Clock
from bridges.leg import Emit, Played
from contracts.media import Clear, DownPacket, Finished, Pause, Resume
from contracts.playout import Frame, Marked, Playout, PlayoutEvent, Stopped

RATE_HZ = 8000
"""A telephone's, unless it is tuned otherwise."""


class Line:
    """One phone's line. A leg drives it: `tick` whenever `sleep` returns, until the call is over.

    Args:
        clock: the times.
        emit: told what the caller said, how far playback is, and what was played.
        send: takes a frame of bot audio; returns whether it left.
        stop: makes the phone drop what it has not begun to play.
        observe_lateness: told of each frame how late it leaves, for the whole process.
        mark: has the phone say a number once it has played all it was sent; `confirm` takes it.
    """

    def __init__(
        self,
        clock: Clock,
        emit: Emit,
        send: Callable[[bytes], bool],
        stop: Callable[[], None],
        observe_lateness: Callable[[float], None],
        mark: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._emit = emit
        self._send = send
        self._stop = stop
        self._observe_lateness = observe_lateness
        self._mark = mark
        self._lateness = Lateness()
        self._rate_hz = RATE_HZ
        self._playout = Playout(RATE_HZ)
        self._uplink: Uplink | None = None
        self._wake = asyncio.Event()
        self._wakes_at = math.inf
        self._is_paused = False
        self._holders: set[str] = set()

    def tune(self, rate_hz: int) -> None:
        """Carry audio of another rate than a telephone's; before `start` and any speech."""
        self._rate_hz = rate_hz
        self._playout = Playout(rate_hz)

    def resize(
        self, message_bytes: int, lead_ms: int, *, mark_every_s: float | None = None
    ) -> None:
        """Send frames of so much PCM from now on; see `contracts.playout.Playout.resize`."""
        self._playout.resize(message_bytes, lead_ms, mark_every_s=mark_every_s)

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to play, or to be heard to its end."""
        return self._playout.deadline() is None

    @property
    def missed_marks(self) -> int:
        """How often the phone did not say when it had played what there was to say."""
        return self._playout.missed_marks

    def confirm(self, mark: int) -> bool:
        """Take the phone's word that it has played up to `mark`; return whether that was news."""
        is_news = self._playout.confirm(mark, self._clock.now())
        if is_news:
            self.wake()
        return is_news

    def start(self) -> None:
        """Let audio flow: the phone is answered."""
        now = self._clock.now()
        self._uplink = Uplink(now, self._rate_hz)
        self._playout.start(now)
        self.wake()

    def accept(self, packet: DownPacket) -> None:
        """Take the agent's speech, or what is to become of it."""
        now = self._clock.now()
        if isinstance(packet, Pause | Resume | Clear):
            self._is_paused = isinstance(packet, Pause)
        self._perform(self._playout.accept(packet, now))
        if self._holders:
            self._perform(self._playout.accept(Pause(), now))
        deadline = self._playout.deadline()
        if deadline is not None and deadline < self._wakes_at:
            self.wake()

    def reset(self) -> None:
        """Forget what a former agent sent, its pause included."""
        now = self._clock.now()
        self._is_paused = False
        self._perform(self._playout.reset(now))
        if self._holders:
            self._perform(self._playout.accept(Pause(), now))

    def hear(self, pcm: bytes) -> None:
        """Take what the caller said until now."""
        if self._uplink is None:
            return
        now = self._clock.now()
        for heard in self._uplink.add(pcm, now, *self._playout.position(now)):
            self._emit(heard)

    def flush(self) -> None:
        """Pass on what the caller said last."""
        if self._uplink is None:
            return
        now = self._clock.now()
        for heard in self._uplink.flush(now, *self._playout.position(now)):
            self._emit(heard)

    def hold(self, holder: str) -> None:
        """Hold back speech, whatever the agent says, until this holder lets go."""
        self._holders.add(holder)
        self._perform(self._playout.accept(Pause(), self._clock.now()))

    def release(self, holder: str) -> None:
        """Let speech flow again, if nobody else holds it and the agent has not paused it."""
        self._holders.discard(holder)
        if not self._holders and not self._is_paused:
            self.accept(Resume())

    def tick(self) -> None:
        """Do what is due."""
        now = self._clock.now()
        self._perform(self._playout.tick(now))
        if self._uplink is not None and self._playout.deadline() is not None:
            for heard in self._uplink.tick(now, *self._playout.position(now)):
                self._emit(heard)

    def wake(self) -> None:
        """Let `sleep` return."""
        self._wake.set()

    async def sleep(self) -> None:
        """Wait until `tick` is due, or somebody calls `wake`."""
        timer, deadline = None, self._playout.deadline()
        if deadline is not None:
            delay_s = max(0.0, deadline - self._clock.now())
            timer = asyncio.get_running_loop().call_later(delay_s, self._wake.set)
        self._wakes_at = math.inf if deadline is None else deadline
        await self._wake.wait()
        self._wake.clear()
        if timer is not None:
            timer.cancel()

    def stats(self) -> dict[str, Any]:
        """Return figures worth keeping with the call."""
        return {
            "frame_lateness_ms": self._lateness.summary(),
            "underruns": self._playout.underruns,
            "dropped_speech_bytes": self._playout.dropped_bytes,
            "heard_bytes": self._uplink.heard_bytes if self._uplink else 0,
            "dropped_heard_bytes": self._uplink.dropped_bytes if self._uplink else 0,
        }

    def _perform(self, events: list[PlayoutEvent]) -> None:
        for event in events:
            match event:
                case Frame():
                    self._play(event)
                case Stopped():
                    self._stop()
                case Marked():
                    self._mark(event.mark)
                case Finished():
                    self._emit(event)

    def _play(self, frame: Frame) -> None:
        if self._send(frame.pcm):
            self._lateness.observe(frame.late_s)
            self._observe_lateness(frame.late_s)
            self._emit(Played(frame.pcm))
