"""The playback clock: bot speech in as fast as it is made, out in messages when they are due.

What the down packets of `contracts.media` mean. Whoever plays a call's audio plays it by this: a
bridge towards its carrier, an agent into its own track.

A message is 20 ms of audio unless a bot asks for longer ones. It leaves when its audio is complete
and the phone holds at most `lead` of audio it has not begun to play; so a pause or an interruption
spares no more than the message that plays, and positions are the phone's own.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from contracts.media import Clear, DownPacket, Finished, Pause, Resume, Speech, SpeechEnd
from contracts.phone_queue import PhoneQueue

FRAME_S = 0.02
MAX_HELD_S = 300.0
"""Speech an agent may send ahead; what is beyond is dropped."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Send this now. `late_s` is how far behind its due time the driver asked for it."""

    pcm: bytes
    late_s: float


@dataclass(frozen=True, slots=True)
class Stopped:
    """The phone must drop what it has not begun to play."""


@dataclass(frozen=True, slots=True)
class Marked:
    """Ask the phone to say `mark` once it has played all it was sent."""

    mark: int


PlayoutEvent = Frame | Stopped | Marked | Finished


@dataclass(slots=True)
class _Segment:
    number: int
    pcm: bytearray = field(default_factory=bytearray)
    sent_bytes: int = 0
    complete: bool = False

    @property
    def left_bytes(self) -> int:
        return len(self.pcm) - self.sent_bytes

    def finished(self, *, interrupted: bool) -> Finished:
        return Finished(self.number, self.sent_bytes // 2, interrupted)


class Playout:
    """What one call still has to play.

    `start` lets playback begin (at answer), `accept` takes what the agent sent, `tick` returns what
    is due by now, and `deadline` says when to call it next.

    Args:
        message_ms: how much audio goes into a message; the last of an utterance is padded.
        lead_ms: how much audio beyond the message that plays the phone may hold.

    Attributes:
        underruns: how often speech came too late to go on without a gap.
        dropped_bytes: speech beyond `MAX_HELD_S`.
    """

    def __init__(self, rate_hz: int = 8000, *, message_ms: int = 20, lead_ms: int = 0) -> None:
        self.underruns = 0
        self.dropped_bytes = 0
        self._rate_hz = rate_hz
        self._max_held_bytes = int(rate_hz * MAX_HELD_S) * 2
        self._segments: deque[_Segment] = deque()
        self._phone = PhoneQueue(rate_hz)
        self._done_through = 0
        self._ready_at = 0.0
        self._started = False
        self._paused = False
        self._sounding = False
        self._mark_every_s: float | None = None
        self._unmarked_s = 0.0
        self.resize(rate_hz * message_ms // 1000 * 2, lead_ms)

    def resize(
        self, message_bytes: int, lead_ms: int, *, mark_every_s: float | None = None
    ) -> None:
        """Let messages hold so many bytes from now on, and the phone `lead_ms` beyond them.

        Args:
            message_bytes: of PCM.
            lead_ms: as above.
            mark_every_s: how much audio at least lies between two marks, but for the end of what
                there is to say, which has one in any case; None: the phone knows no marks.
        """
        self._message_s, self._lead_s = message_bytes / 2 / self._rate_hz, lead_ms / 1000
        self._message_bytes = message_bytes
        self._mark_every_s = mark_every_s

    def start(self, now: float) -> None:
        """Let playback begin: the phone is answered."""
        self._started = True
        self._phone.due = self._ready_at = now

    def reset(self, now: float) -> list[PlayoutEvent]:
        """Forget what a former agent sent; its successor counts segments from 1 again."""
        events = self._stop(now)
        self._segments.clear()
        self._phone.clear()
        self._done_through = 0
        self._paused = False
        return events

    @property
    def missed_marks(self) -> int:
        """How many segments' last mark did not come back in time."""
        return self._phone.missed_marks

    def confirm(self, mark: int, now: float) -> bool:
        """Take the phone's word for what it has played: see `PhoneQueue.confirm`."""
        return self._phone.confirm(mark, now)

    def position(self, now: float) -> tuple[int, int]:
        """Return the segment that played last (0 before the first) and how many samples of it."""
        return self._phone.position(now)

    def accept(self, packet: DownPacket, now: float) -> list[PlayoutEvent]:
        """Take one packet and return what follows from it at once."""
        was_sending, was_idle = self._sending() is not None, self.deadline() is None
        events: list[PlayoutEvent] = []
        match packet:
            case Speech():
                self._append(packet.segment, packet.pcm)
            case SpeechEnd():
                self._append(packet.segment, b"", complete=True)
            case Clear():
                events = self._clear(packet.segment, now)
            case Pause():
                self._paused = True
                events = self._stop(now)
            case Resume():  # pragma: no branch
                self._paused = False
        sending = self._sending()
        if sending is not None and not was_sending:
            if now > self._phone.due and sending.sent_bytes and isinstance(packet, Speech):
                self.underruns += 1
            # A clock that stood still goes on from now, but not before its last message is over.
            self._phone.due = max(self._phone.due, now)
            self._ready_at = now
        elif was_idle:
            self._ready_at = now
        return events

    def deadline(self) -> float | None:
        """Return when the next message, or the end of a segment, is due; None while none is."""
        if not self._started or self._paused or not self._segments:
            return None
        times = [self._ends_at()] if self._is_over(self._segments[0]) else []
        if self._sending() is not None:
            times.append(max(self._phone.due - self._lead_s, self._ready_at))
        return min(times, default=None)

    def tick(self, now: float) -> list[PlayoutEvent]:
        """Return everything that is due by `now`."""
        events: list[PlayoutEvent] = []
        while (due := self.deadline()) is not None and due <= now:
            head, sending = self._segments[0], self._sending()
            if self._is_over(head) and self._ends_at() <= due:
                self._phone.finish(head.number, due)
                events.append(head.finished(interrupted=False))
                self._done_through = head.number
                self._segments.popleft()
            elif sending is not None:  # pragma: no branch
                events.append(Frame(self._take(sending, now), now - due))
                events += self._mark(sending)
        return events

    def _sending(self) -> _Segment | None:
        """Return the segment whose next message is complete, if nothing holds it back."""
        if not self._started or self._paused:
            return None
        segment = next((held for held in self._segments if not self._is_over(held)), None)
        if segment is None:
            return None
        if segment.left_bytes >= self._message_bytes or (segment.complete and segment.left_bytes):
            return segment
        return None

    def _is_over(self, segment: _Segment) -> bool:
        return segment.complete and not segment.left_bytes

    def _ends_at(self) -> float:
        return self._phone.ends_at(self._segments[0].number, self._ready_at)

    def _mark(self, segment: _Segment) -> list[PlayoutEvent]:
        """Ask for a mark after the message that was just sent, if it is time for one."""
        if self._mark_every_s is None:
            return []
        self._unmarked_s += self._message_s
        if segment.left_bytes and self._unmarked_s < self._mark_every_s:
            return []
        self._unmarked_s = 0.0
        return [Marked(self._phone.mark())]

    def _take(self, segment: _Segment, now: float) -> bytes:
        start = segment.sent_bytes
        pcm = bytes(segment.pcm[start : start + self._message_bytes])
        segment.sent_bytes += len(pcm)
        span = (start // 2, segment.sent_bytes // 2)
        oldest = self._segments[0].number
        self._phone.send(segment.number, *span, self._message_s, now, oldest=oldest)
        self._sounding = True
        return pcm.ljust(self._message_bytes, b"\0")

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

    def _clear(self, through: int, now: float) -> list[PlayoutEvent]:
        # Nothing is left that could be paused: what is said next shall be heard.
        self._paused = False
        if through <= self._done_through:
            return []  # its `Finished` is on the way already
        events = self._stop(now)
        self._done_through = through
        cut = [held for held in self._segments if held.number <= through]
        if not cut or cut[-1].number < through:
            cut.append(_Segment(through))
        self._segments = deque(held for held in self._segments if held.number > through)
        return events + [segment.finished(interrupted=True) for segment in cut]

    def _stop(self, now: float) -> list[PlayoutEvent]:
        """Take back what the phone has not begun; the message that plays is played to its end."""
        if not self._sounding:
            return []
        self._sounding = False
        for unheard in self._phone.take_back(now):
            for segment in self._segments:
                if segment.number == unheard.segment:
                    segment.sent_bytes = unheard.start * 2
        return [Stopped()]
