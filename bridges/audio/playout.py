"""The playback clock: bot speech in as fast as it is made, one 20 ms frame out when it is due.

Nothing is sent ahead of real time, so a phone holds at most one frame it has not played: a pause or
an interruption is heard at once, and positions are exact.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from contracts.media import Clear, DownPacket, Finished, Pause, Resume, Speech, SpeechEnd

FRAME_S = 0.02
MAX_CATCH_UP_S = 0.06
"""A driver that wakes this late sends what is overdue at once: a phone's jitter buffer has bridged
the gap and must be filled again. Later than this the gap was heard, and the clock starts anew, so
that a stall leaves no audio piled up in the phone."""
MAX_HELD_S = 300.0
"""Speech an agent may send ahead; what is beyond is dropped."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Play this now. `late_s` is how far behind its due time the driver asked for it."""

    pcm: bytes
    late_s: float


@dataclass(frozen=True, slots=True)
class Stopped:
    """The phone must drop what it has not played yet."""


PlayoutEvent = Frame | Stopped | Finished


@dataclass(slots=True)
class _Segment:
    number: int
    pcm: bytearray = field(default_factory=bytearray)
    played_bytes: int = 0
    complete: bool = False

    @property
    def left_bytes(self) -> int:
        return len(self.pcm) - self.played_bytes

    def finished(self, *, interrupted: bool) -> Finished:
        return Finished(self.number, self.played_bytes // 2, interrupted)


class Playout:
    """What one call still has to play.

    `start` lets playback begin (at answer), `accept` takes what the agent sent, `tick` returns what
    is due by now, and `deadline` says when to call it next.

    Attributes:
        segment: the segment that played last (0 before the first).
        played_samples: how many of its samples were given out to be played.
        underruns: how often speech came too late to go on without a gap.
        dropped_bytes: speech beyond `MAX_HELD_S`.
    """

    def __init__(self, rate_hz: int = 8000) -> None:
        self.segment = 0
        self.played_samples = 0
        self.underruns = 0
        self.dropped_bytes = 0
        self._rate_hz = rate_hz
        self._frame_bytes = int(rate_hz * FRAME_S) * 2
        self._last_frame_samples = 0
        self._max_held_bytes = int(rate_hz * MAX_HELD_S) * 2
        self._segments: deque[_Segment] = deque()
        self._done_through = 0
        self._due = 0.0
        self._started = False
        self._paused = False
        self._sounding = False

    def start(self, now: float) -> None:
        """Let playback begin: the phone is answered."""
        self._started = True
        self._due = now

    def reset(self) -> list[PlayoutEvent]:
        """Forget what a former agent sent; its successor counts segments from 1 again."""
        self._segments.clear()
        self._done_through = self.segment = self.played_samples = self._last_frame_samples = 0
        self._paused = False
        return self._stop()

    def accept(self, packet: DownPacket, now: float) -> list[PlayoutEvent]:
        """Take one packet and return what follows from it at once."""
        was_idle = self.deadline() is None
        events: list[PlayoutEvent] = []
        match packet:
            case Speech():
                self._append(packet.segment, packet.pcm)
            case SpeechEnd():
                self._append(packet.segment, b"", complete=True)
            case Clear():
                events = self._clear(packet.segment)
            case Pause():
                self._paused = True
                events = self._stop()
            case Resume():
                self._paused = False
        if was_idle and self.deadline() is not None:
            if now > self._due and self._segments[0].played_bytes and isinstance(packet, Speech):
                self.underruns += 1
            # A clock that stood still goes on from now, but not before its last frame is over.
            self._due = max(self._due, now)
        return events

    def deadline(self) -> float | None:
        """Return when the next frame, or the end of the last one, is due; None while none is."""
        if not self._started or self._paused or not self._segments:
            return None
        head = self._segments[0]
        return self._due if head.complete or head.left_bytes >= self._frame_bytes else None

    def position(self, now: float) -> int:
        """Return how many samples of `segment` are played by `now`: the last frame takes its time.

        Without this an answer would seem to have begun up to a frame before it did.
        """
        left = max(0.0, self._due - now) * self._rate_hz
        since_frame = max(0, self._frame_bytes // 2 - round(left))
        unplayed = max(0, self._last_frame_samples - since_frame)
        return self.played_samples - unplayed

    def tick(self, now: float) -> list[PlayoutEvent]:
        """Return everything that is due by `now`."""
        events: list[PlayoutEvent] = []
        while (due := self.deadline()) is not None and due <= now:
            head = self._segments[0]
            if head.left_bytes:
                events.append(Frame(self._take(head), now - due))
                self._due = (due if now - due <= MAX_CATCH_UP_S else now) + FRAME_S
            else:
                events.append(head.finished(interrupted=False))
                self._done_through = head.number
                self._segments.popleft()
        return events

    def _take(self, segment: _Segment) -> bytes:
        start = segment.played_bytes
        pcm = bytes(segment.pcm[start : start + self._frame_bytes])
        segment.played_bytes += len(pcm)
        self.segment, self.played_samples = segment.number, segment.played_bytes // 2
        self._last_frame_samples = len(pcm) // 2
        self._sounding = True
        return pcm.ljust(self._frame_bytes, b"\0")

    def _append(self, number: int, pcm: bytes, *, complete: bool = False) -> None:
        if number <= self._done_through:
            return  # sent before the agent knew that the segment was over
        if not self._segments or self._segments[-1].number < number:
            for older in self._segments:
                older.complete = True
            self._segments.append(_Segment(number))
        segment = self._segments[-1]
        if segment.number != number or segment.complete:
            return
        room_bytes = self._max_held_bytes - sum(held.left_bytes for held in self._segments)
        segment.pcm += pcm[:room_bytes]
        self.dropped_bytes += max(0, len(pcm) - room_bytes)
        segment.complete = complete

    def _clear(self, through: int) -> list[PlayoutEvent]:
        # Nothing is left that could be paused: what is said next shall be heard.
        self._paused = False
        if through <= self._done_through:
            return []  # its `Finished` is on the way already
        events = self._stop()
        self._done_through = through
        cut = [held for held in self._segments if held.number <= through]
        if not cut or cut[-1].number < through:
            cut.append(_Segment(through))
        self._segments = deque(held for held in self._segments if held.number > through)
        return events + [segment.finished(interrupted=True) for segment in cut]

    def _stop(self) -> list[PlayoutEvent]:
        stopped: list[PlayoutEvent] = [Stopped()] if self._sounding else []
        self._sounding = False
        return stopped
