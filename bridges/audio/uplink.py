"""Caller audio on its way to the agent, in packets that each carry the playback position.

A packet costs every process on its way a wake-up or two, and most of what a caller sends is either
silence or the middle of a sentence, neither of which is urgent. Where a voice begins, and where it
may have ended, is.
"""

from __future__ import annotations

from contracts.media import MAX_PACKET_BYTES, Heard

PACKET_MS = 40
"""Around a voice's beginning and end: half the wake-ups of the carrier's 20 ms."""
STEADY_PACKET_MS = 80
"""While a voice goes on."""
SILENT_PACKET_MS = 240
"""While there is none. The frame in which one begins takes what waits along at once."""
LOUD_PEAK = 150
"""Above this (-47 dBFS) a frame may be voice. On a line that hums louder less is saved."""
ONSET_MS = 240
"""How long a voice counts as beginning."""
PAUSE_MS = 40
"""A silence this long may be the end of what is said: what waits leaves at once."""
HANG_OVER_MS = 440
"""How long a voice that fell silent counts as ending: whether the turn is over is decided now."""
QUIET_MS = 260
"""After this long without caller audio the position travels alone. Longer than a packet, since a
frame that is due with the tick would else be sent apart from the others."""
MAX_AHEAD_MS = 10_000
"""How much more audio than time a caller may have sent: a network that stalled catches up, a peer
that floods would drown the room's other end."""
MAX_PCM_BYTES = (MAX_PACKET_BYTES - 16) // 2 * 2


class Uplink:
    """One call's packer: `add` audio as it comes, `tick` while playback moves, `flush` at the end.

    Attributes:
        heard_bytes: caller audio so far.
        dropped_bytes: caller audio that came too far ahead of time.
    """

    def __init__(self, answered_at: float, rate_hz: int = 8000) -> None:
        self.heard_bytes = 0
        self.dropped_bytes = 0
        self._answered_at = answered_at
        self._bytes_per_ms = rate_hz * 2 / 1000
        self._gathered = bytearray()
        self._last_at = answered_at
        self._segment = 0
        self._voice_ms = 0.0
        self._silent_ms = 0.0

    def add(self, pcm: bytes, now: float, segment: int, played_samples: int) -> list[Heard]:
        """Take caller audio that ended at `now` and return what is due."""
        ahead_ms = self.heard_bytes / self._bytes_per_ms - (now - self._answered_at) * 1000
        if ahead_ms > MAX_AHEAD_MS:
            self.dropped_bytes += len(pcm)
            return []
        self.heard_bytes += len(pcm)
        self._gathered += pcm
        if len(self._gathered) < self._wanted_ms(pcm) * self._bytes_per_ms:
            return []
        return self._pack(now, segment, played_samples)

    def tick(self, now: float, segment: int, played_samples: int) -> list[Heard]:
        """Return a short or empty packet if it is time: a line begins, the wire has been quiet."""
        if segment == self._segment and now - self._last_at < QUIET_MS / 1000:
            return []
        return self._pack(now, segment, played_samples)

    def flush(self, now: float, segment: int, played_samples: int) -> list[Heard]:
        """Return what is gathered, if anything is."""
        return self._pack(now, segment, played_samples) if self._gathered else []

    def _wanted_ms(self, pcm: bytes) -> int:
        """Return how much audio makes a packet after this piece of it."""
        was_silent_ms = self._silent_ms
        length_ms = len(pcm) / self._bytes_per_ms
        if _is_loud(pcm):
            begins = was_silent_ms > HANG_OVER_MS
            self._voice_ms = 0.0 if begins else self._voice_ms + length_ms
            self._silent_ms = 0.0
            if begins:
                return 0
        else:
            self._silent_ms += length_ms
        if self._silent_ms > HANG_OVER_MS:
            return SILENT_PACKET_MS
        if self._silent_ms < PAUSE_MS and self._voice_ms > ONSET_MS:
            return STEADY_PACKET_MS
        return PACKET_MS

    def _pack(self, now: float, segment: int, played_samples: int) -> list[Heard]:
        pcm, self._gathered = bytes(self._gathered), bytearray()
        self._last_at, self._segment = now, segment
        end_ms = (now - self._answered_at) * 1000
        pieces = [pcm[at : at + MAX_PCM_BYTES] for at in range(0, len(pcm), MAX_PCM_BYTES)] or [b""]
        packets = []
        for piece in reversed(pieces):
            packets.append(Heard(max(0, round(end_ms)), segment, played_samples, piece))
            end_ms -= len(piece) / self._bytes_per_ms
        return packets[::-1]


def _is_loud(pcm: bytes) -> bool:
    # Every fourth sample: no voice fits between them, and this runs fifty times a second.
    samples = memoryview(pcm).cast("h")[::4]
    return bool(samples) and max(max(samples), -min(samples)) > LOUD_PEAK
