"""The de-jitter buffer: packets in as the network brings them, a steady stream out by our clock.

Audio leaves in steps of 20 ms, each `target` after the moment the fastest packets of late would
have brought it. The target follows what the network does: up at once when packets come late, down
while nobody speaks. Where a packet is missing though later ones are there, its time passes as
`Lost`; where nothing at all is there, time stands still for the sender, so that a stall delays
words instead of swallowing them. No audio ever waits longer than `max_delay_ms`.

A step need not begin with the leg's clock: to neither wait nor cut, the steps move to where the
packets are, and a step is then a little longer or shorter.
"""

from __future__ import annotations

import array
import bisect
from collections import deque
from dataclasses import dataclass

RATE_HZ = 8000
STEP = 160
"""Samples in a step of 20 ms."""
STEP_S = STEP / RATE_HZ
MIN_DELAY_MS = 20
MAX_DELAY_MS = 200
WINDOW = 400
"""Packets that tell what the network is like: 8 s."""
LATE_SHARE = 0.03
"""How many of them may come too late for the target."""
SLACK_S = 0.005
"""What our own timers may be late."""
QUIET_PEAK = 400
"""Below this (-38 dBFS) time may be taken out unheard."""
LOUD_EXCESS_S = 0.06
"""Above this much too much it is taken out of speech as well, crossfaded, ..."""
LOUD_CUT_EVERY = 10
"""... in one of so many steps."""
SETTLED_S = 0.01
"""A delay this close to its target is left alone."""
PATIENCE = 5 * STEP
"""How long nothing may come before the stream counts as paused."""
DISCONTINUITY_S = 2.5
"""A timestamp this far from when it comes is of another clock than those before it."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Received audio: PCM16 at 8 kHz."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """Audio that did not come, in samples."""

    samples: int


@dataclass(frozen=True, slots=True)
class Quiet:
    """A pause of the sender's, in samples."""

    samples: int


Stretch = Sound | Lost | Quiet


@dataclass(slots=True)
class JitterStats:
    """What became of the packets; times in samples."""

    late: int = 0
    """Packets that came after their time had passed."""
    doubled: int = 0
    dropped: int = 0
    """Audio thrown away since it was too old."""
    concealed: int = 0
    stretched: int = 0
    """Time put in, or waited for, to grow the delay."""
    cut: int = 0
    """Time taken out to shrink it."""
    resyncs: int = 0
    """How often the sender's clock jumped."""


class JitterBuffer:
    """One source's buffer. `insert` what comes; call `tick` when `deadline` says so.

    Args:
        now: when the first step begins.
    """

    def __init__(
        self, now: float, *, min_delay_ms: int = MIN_DELAY_MS, max_delay_ms: int = MAX_DELAY_MS
    ) -> None:
        self.stats = JitterStats()
        self._min_s, self._max_s = min_delay_ms / 1000, max_delay_ms / 1000
        self._due = now + STEP_S
        self._target_s = self._min_s
        self._packets: list[tuple[int, bytes]] = []
        self._position: int | None = None
        self._latest = 0
        self._transits: deque[float] = deque(maxlen=WINDOW)
        self._fastest_s = 0.0
        self._unsorted = 0
        self._waited = 0
        self._paused = False
        self._suspect: tuple[float, int, bytes] | None = None
        self._steps_since_cut = 0

    @property
    def target_ms(self) -> float:
        """How long audio is to wait after the fastest packets' time of arrival."""
        return self._target_s * 1000

    def deadline(self) -> float:
        """Return when the next step is due."""
        return self._due

    def restart(self) -> None:
        """Forget the source: another one is heard from now on."""
        self._packets.clear()
        self._transits.clear()
        self._position = self._suspect = None
        self._waited = 0
        self._paused = False

    def pause(self) -> None:
        """Take note that the sender is silent on purpose until its next audio."""
        self._paused = True

    def insert(self, timestamp: int, pcm: bytes, now: float) -> None:
        """Take a packet's timestamp (32 bits) and its audio."""
        if not pcm:
            return
        at = self._latest + ((timestamp - self._latest + 2**31) & 0xFFFFFFFF) - 2**31
        transit_s = now - at / RATE_HZ
        if self._transits and abs(transit_s - self._fastest_s) > DISCONTINUITY_S:
            suspect, self._suspect = self._suspect, (transit_s, at, pcm)
            if suspect is None or abs(transit_s - suspect[0]) > DISCONTINUITY_S:
                return
            self.stats.resyncs += 1
            self.restart()
            self._packets.append(suspect[1:])
        self._suspect = None
        self._paused = False
        self._latest = at
        self._observe(transit_s)
        end = at + len(pcm) // 2
        if self._position is not None and end <= self._position:
            self.stats.late += 1
            return
        where = bisect.bisect_left(self._packets, (at, b""))
        if where < len(self._packets) and self._packets[where][0] == at:
            self.stats.doubled += 1
            return
        self._packets.insert(where, (at, pcm))
        self._bound()

    def tick(self, now: float) -> list[Stretch]:
        """Return what is to be played of the steps that are due by `now`."""
        stretches: list[Stretch] = []
        while self._due <= now:
            stretches += self._step()
        return stretches

    def _observe(self, transit_s: float) -> None:
        self._transits.append(transit_s)
        if len(self._transits) == 1 or transit_s < self._fastest_s:
            self._fastest_s = transit_s
        self._unsorted += 1
        if self._unsorted < 10 and transit_s - self._fastest_s + SLACK_S <= self._target_s:
            return
        # The slowest few are left out; whatever is slower than all of them is waited for anyway.
        self._unsorted = 0
        slowest = sorted(self._transits)
        self._fastest_s = slowest[0]
        spread_s = slowest[int((len(slowest) - 1) * (1 - LATE_SHARE))] - slowest[0]
        self._target_s = min(max(self._min_s, spread_s + SLACK_S), self._max_s)

    def _bound(self) -> None:
        """Throw away what would wait too long."""
        first, last = self._packets[0], self._packets[-1]
        most = round(self._max_s * RATE_HZ) + STEP
        begins = first[0] if self._position is None else max(self._position, first[0])
        excess = last[0] + len(last[1]) // 2 - begins - most
        if excess > 0:
            self._position = begins + excess
            self.stats.dropped += excess
            self._forget()

    def _forget(self) -> None:
        assert self._position is not None
        while self._packets and _end(self._packets[0]) <= self._position:
            self._packets.pop(0)

    def _step(self) -> list[Stretch]:
        if not self._packets:
            return [self._wait()]
        head = self._packets[0][0]
        if self._position is None:
            early_s = head / RATE_HZ + self._fastest_s + self._target_s - self._due
            early = min(STEP, round(early_s * RATE_HZ))
            if early > 0:
                return [self._pass(early, Quiet(early))]
            self._position = head
        # What was waited makes up for as much of what is missing now.
        made_up = max(0, min(self._waited, head - self._position))
        self._position += made_up
        self.stats.stretched += self._waited - made_up
        self._waited = 0
        if head > self._position:
            missing = min(STEP, head - self._position)
            self._position += missing
            return [self._missing(missing)]
        return self._play()

    def _wait(self) -> Stretch:
        if self._position is None:
            return self._pass(STEP, Quiet(STEP))
        self._waited += STEP
        if self._paused or self._waited >= PATIENCE:
            # The next packet begins anew, at its own time.
            self._position, self._waited = None, 0
        return self._missing(STEP)

    def _missing(self, samples: int) -> Stretch:
        if self._paused:
            return self._pass(samples, Quiet(samples))
        self.stats.concealed += samples
        return self._pass(samples, Lost(samples))

    def _play(self) -> list[Stretch]:
        assert self._position is not None
        self._steps_since_cut += 1
        delay_s = self._due - self._position / RATE_HZ - self._fastest_s
        pcm = self._take(STEP)
        samples = len(pcm) // 2
        # Where all packets come late there is nothing to gain by hurrying.
        held = _end(self._packets[-1]) - self._position if self._packets else 0
        excess = min(held, round((delay_s - self._target_s) * RATE_HZ))
        if abs(excess) <= SETTLED_S * RATE_HZ:
            return [self._pass(samples, Sound(pcm))]
        if _is_quiet(pcm):
            if excess > 0:
                cut = min(excess, samples)
                self.stats.cut += cut
                return [self._pass(samples - cut, Sound(pcm[: (samples - cut) * 2]))]
            more = min(-excess, STEP)
            self.stats.stretched += more
            return [self._pass(samples, Sound(pcm)), self._pass(more, Lost(more))]
        if excess > LOUD_EXCESS_S * RATE_HZ and self._steps_since_cut >= LOUD_CUT_EVERY:
            after = self._take(samples)
            if len(after) == len(pcm):
                self._steps_since_cut = 0
                self.stats.cut += samples
                pcm = _crossfade(pcm, after)
            else:
                return [self._pass(samples + len(after) // 2, Sound(pcm + after))]
        return [self._pass(samples, Sound(pcm))]

    def _take(self, most: int) -> bytes:
        """Take contiguous audio from the position on."""
        assert self._position is not None
        pieces: list[bytes] = []
        while most and self._packets and self._packets[0][0] <= self._position:
            at, pcm = self._packets[0]
            start = self._position - at
            piece = pcm[start * 2 : (start + most) * 2]
            self._position += len(piece) // 2
            most -= len(piece) // 2
            pieces.append(piece)
            self._forget()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _pass(self, samples: int, stretch: Stretch) -> Stretch:
        self._due += samples / RATE_HZ
        return stretch


def _end(packet: tuple[int, bytes]) -> int:
    return packet[0] + len(packet[1]) // 2


def _is_quiet(pcm: bytes) -> bool:
    samples = memoryview(pcm).cast("h")
    return max(samples) < QUIET_PEAK and min(samples) > -QUIET_PEAK


def _crossfade(before: bytes, after: bytes) -> bytes:
    """Return one stretch made of two: it begins as the first and ends as the second."""
    old, new = memoryview(before).cast("h"), memoryview(after).cast("h")
    length = len(old)
    return array.array(
        "h",
        [
            (one * (length - at) + other * at) // length
            for at, (one, other) in enumerate(zip(old, new, strict=True))
        ],
    ).tobytes()
