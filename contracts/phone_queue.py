"""What a phone was sent and when it plays it: by a clock, and by what the phone itself tells.

A phone that can tell what it has played is asked to by marks, and believed: each that comes back
sets the clock, which bridges the time between marks, and stands in for one that does not come.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

MAX_CATCH_UP_S = 0.06
"""A driver that wakes this late sends what is overdue at once: a phone's jitter buffer has bridged
the gap and must be filled again. Later than this the gap was heard, and the clock starts anew, so
that a stall leaves no audio piled up in the phone."""
MARK_PATIENCE_S = 2.0
"""How long after its time a mark is waited for. Later it tells nothing any more."""


@dataclass(slots=True)
class Sent:
    """A message the phone has: which samples of which segment, and when it plays them.

    Attributes:
        not_before: when it is over at the soonest, whatever the phone says.
        mark: what the phone is to say after it, while that is awaited; else 0.
    """

    segment: int
    start: int
    end: int
    plays_at: float
    until: float
    not_before: float
    mark: int = 0


class PhoneQueue:
    """The messages that one phone plays, or is about to.

    Attributes:
        due: when the next message would be played.
        missed_marks: segments whose last mark did not come back in time.
    """

    def __init__(self, rate_hz: int) -> None:
        self.due = 0.0
        self.missed_marks = 0
        self._rate_hz = rate_hz
        self._sent: deque[Sent] = deque()
        self._played = (0, 0)
        self._soonest = 0.0
        self._last_mark = 0
        self._tells = True

    def __len__(self) -> int:
        return len(self._sent)

    def clear(self) -> None:
        """Forget everything: segments count from 1 again."""
        self._sent.clear()
        self._played = (0, 0)

    def send(
        self, segment: int, start: int, end: int, length_s: float, now: float, *, oldest: int
    ) -> None:
        """Take note of a message of a segment's samples, which takes `length_s` to play.

        Of segments before `oldest` nobody asks any more when they end.
        """
        if now - self.due > MAX_CATCH_UP_S:
            self.due = now
        self.position(now)
        self._forget(now, oldest)
        plays_at, self.due = self.due, self.due + length_s
        self._soonest = max(self._soonest, now) + length_s
        self._sent.append(Sent(segment, start, end, plays_at, self.due, self._soonest))

    def mark(self) -> int:
        """Await a mark after the newest message; return it."""
        self._last_mark += 1
        self._sent[-1].mark = self._last_mark
        return self._last_mark

    def confirm(self, mark: int, now: float) -> bool:
        """Take the phone's word that it has played everything up to `mark`, just now.

        Return whether the mark was awaited: what was taken back, or comes too late, is not.
        """
        at = next((at for at, sent in enumerate(self._sent) if mark and sent.mark == mark), None)
        if at is None:
            return False
        self._tells = True
        before, first, later = self._split(at)
        for sent in (*before, first):
            sent.mark = 0
        if now > first.until + MARK_PATIENCE_S:
            return False
        was_until, until = first.until, max(now, first.not_before)
        first.plays_at, first.until = first.plays_at + until - was_until, until
        for sent in before:
            sent.plays_at = min(sent.plays_at, first.plays_at)
            sent.until = min(sent.until, first.plays_at)
        for sent in later:
            length_s = sent.until - sent.plays_at
            follows = sent.plays_at <= was_until
            was_until = sent.until
            sent.plays_at = until if follows else max(sent.plays_at, until)
            sent.until = until = sent.plays_at + length_s
        self.due = until if self.due <= was_until else max(self.due, until)
        return True

    def position(self, now: float) -> tuple[int, int]:
        """Return the segment that played last (0 before the first) and how many samples of it."""
        for sent in self._sent:
            if sent.plays_at > now:
                break
            played = int((now - sent.plays_at) * self._rate_hz + 0.5)
            # A clock that is set back unplays nothing.
            reached = (sent.segment, min(sent.end, sent.start + played))
            self._played = max(self._played, reached)
        return self._played

    def ends_at(self, segment: int, otherwise: float) -> float:
        """Return when the phone has played all it has of a segment.

        One without a sound ends when what came before it has, but not before `otherwise`.
        """
        ours = [self._over_at(sent) for sent in self._sent if sent.segment == segment]
        if ours:
            return ours[-1]
        return max([otherwise, *(self._over_at(sent) for sent in self._sent)])

    def finish(self, segment: int, now: float) -> None:
        """Take note that a segment counts as played."""
        last = next((sent for sent in reversed(self._sent) if sent.segment == segment), None)
        if last is not None and last.mark:
            self.missed_marks += 1
            self._tells = False
        self.position(now)

    def take_back(self, now: float) -> list[Sent]:
        """Return what the phone has not begun, the newest first: it is no longer there."""
        self.position(now)
        unheard = []
        while self._sent and self._sent[-1].plays_at > now:
            sent = self._sent.pop()
            self.due = sent.plays_at
            self._soonest = sent.not_before - (sent.until - sent.plays_at)
            unheard.append(sent)
        return unheard

    def _split(self, at: int) -> tuple[list[Sent], Sent, list[Sent]]:
        sent = list(self._sent)
        return sent[:at], sent[at], sent[at + 1 :]

    def _over_at(self, sent: Sent) -> float:
        """Return when a message counts as played, whether or not the phone says so."""
        # A phone that does not answer is not waited for again.
        return sent.until + (MARK_PATIENCE_S if sent.mark and self._tells else 0.0)

    def _forget(self, now: float, first: int) -> None:
        """Drop what is played, but for the last of each segment, which tells when it ends."""
        while self._sent and self._over_at(self._sent[0]) <= now:
            oldest = self._sent[0].segment
            if oldest >= first and (len(self._sent) == 1 or self._sent[1].segment > oldest):
                return
            self._sent.popleft()
