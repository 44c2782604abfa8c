"""RTP, RFC 3550: packets in and out of datagrams, what was lost on the way, and a sender's state.

Nothing here raises over what a peer sent: a packet that is none is a `Defect`, to be counted.
"""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from enum import Enum

HEADER_BYTES = 12
MAX_PACKET_BYTES = 1500
"""More than any audio frame of ours; a larger datagram is not for us."""
MAX_DROPOUT = 3000
"""How far a sequence number may jump ahead, a minute of audio; RFC 3550 appendix A.1."""
MAX_MISORDER = 100
"""How far one may lag behind."""
TALKSPURT_GAP_S = 0.06
"""A pause in what we send that is longer begins a talkspurt: marker bit, timestamp by the clock."""

_VERSION = 2
_RTCP_TYPES = range(192, 224)
"""RFC 5761 section 4: the second octet of RTCP, where RTP has payload types 64 to 95."""
_HEADER = struct.Struct("!BBHII")


class Defect(Enum):
    """Why a datagram is not taken; the value is the statistics' key."""

    TOO_LONG = "too_long"
    TOO_SHORT = "too_short"
    VERSION = "version"
    RTCP = "rtcp"
    """Harmless: RTCP that a peer sends to the RTP port unasked."""


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """One packet, without the contributing sources, extension and padding it may have had."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False

    @classmethod
    def parse(cls, data: bytes) -> RtpPacket | Defect:
        """Return the packet a datagram holds, or why it holds none."""
        if len(data) > MAX_PACKET_BYTES:
            return Defect.TOO_LONG
        if len(data) < HEADER_BYTES:
            return Defect.TOO_SHORT
        flags, kind, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
        if flags >> 6 != _VERSION:
            return Defect.VERSION
        if kind in _RTCP_TYPES:
            return Defect.RTCP
        start = HEADER_BYTES + 4 * (flags & 0x0F)
        end = len(data)
        if flags & 0x10:  # an extension: two octets of profile, two of length in words
            if end < start + 4:
                return Defect.TOO_SHORT
            start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
        if flags & 0x20:  # padding, whose last octet counts it, itself included
            padding = data[-1]
            if not padding:
                return Defect.TOO_SHORT
            end -= padding
        if end < start:
            return Defect.TOO_SHORT
        return cls(kind & 0x7F, sequence, timestamp, ssrc, data[start:end], bool(kind & 0x80))

    def serialize(self) -> bytes:
        """Return the datagram."""
        kind = self.payload_type | (0x80 if self.marker else 0)
        header = _HEADER.pack(_VERSION << 6, kind, self.sequence, self.timestamp, self.ssrc)
        return header + self.payload


class Arrival(Enum):
    """What a sequence number tells about a packet."""

    IN_ORDER = "in order"
    REORDERED = "reordered"
    DUPLICATE = "duplicate"
    JUMPED = "jumped"
    """Too far from the others to be one of them; the next one decides (RFC 3550 appendix A.1)."""
    RESTARTED = "restarted"
    """The one before jumped, and this one follows on it: a sender that began anew."""


class SequenceTracker:
    """One source's sequence numbers: what is lost, doubled or out of order.

    Attributes:
        received: packets, duplicates not counted.
        jitter_s: the interarrival jitter of RFC 3550 section 6.4.1, smoothed.
    """

    def __init__(self, rate_hz: int = 8000) -> None:
        self.received = 0
        self.jitter_s = 0.0
        self._rate_hz = rate_hz
        self._highest = -1
        self._first = 0
        self._lost_before = 0
        self._received_since = 0
        self._seen = 0
        self._suspect = -1
        self._transit: tuple[float, int] | None = None

    @property
    def lost(self) -> int:
        """Packets that should have come by now and did not; what comes late is not lost."""
        return self._lost_before + self._missing()

    def begin(self) -> None:
        """Forget the source, not what was counted: another one is heard from now on."""
        self._lost_before += self._missing()
        self._highest = self._suspect = -1
        self._transit = None

    def arrive(self, sequence: int) -> Arrival:
        """Take a packet's sequence number."""
        if self._highest < 0:
            self._start(sequence)
            return Arrival.IN_ORDER
        ahead = ((sequence - self._highest + 0x8000) & 0xFFFF) - 0x8000
        if not -MAX_MISORDER < ahead < MAX_DROPOUT:
            follows = sequence == self._suspect
            self._suspect = (sequence + 1) & 0xFFFF
            if not follows:
                return Arrival.JUMPED
            self.begin()
            self._start(sequence)
            return Arrival.RESTARTED
        # A bit for each of the last packets, the highest being the lowest bit.
        if ahead > 0:
            self._highest += ahead
            self._seen = (self._seen << ahead | 1) & ((1 << MAX_MISORDER) - 1)
        elif self._seen >> -ahead & 1:
            return Arrival.DUPLICATE
        else:
            self._seen |= 1 << -ahead
            self._first = min(self._first, self._highest + ahead)
        self._count()
        return Arrival.IN_ORDER if ahead > 0 else Arrival.REORDERED

    def observe(self, timestamp: int, now: float) -> None:
        """Take a packet's timestamp and time of arrival into the jitter."""
        if self._transit is not None:
            then, before = self._transit
            sent_s = (((timestamp - before + 2**31) & 0xFFFFFFFF) - 2**31) / self._rate_hz
            # A pause or a jump of the sender's clock is no jitter of the network's.
            deviation_s = min(abs(now - then - sent_s), 1.0)
            self.jitter_s += (deviation_s - self.jitter_s) / 16
        self._transit = (now, timestamp)

    def _start(self, sequence: int) -> None:
        self._received_since = 0
        # Room below it, should packets from before the first one come late.
        self._first = self._highest = sequence + 0x10000
        self._seen = 1
        self._suspect = -1
        self._count()

    def _count(self) -> None:
        self.received += 1
        self._received_since += 1

    def _missing(self) -> int:
        if self._highest < 0:
            return 0
        return self._highest - self._first + 1 - self._received_since


class RtpSender:
    """What one sender has to remember between packets: SSRC, sequence number and timestamp.

    Timestamps run with the audio while it is continuous and with the clock through pauses.
    """

    def __init__(self, randomness: random.Random, rate_hz: int = 8000) -> None:
        self.ssrc = randomness.getrandbits(32)
        self.packets = 0
        self._rate_hz = rate_hz
        # RFC 3711 section 3.3.1 wants it below half, lest a lost first packet hide a roll-over.
        self._sequence = randomness.getrandbits(15)
        self._timestamp = randomness.getrandbits(32)
        self._event_at = 0
        self._ends_at: float | None = None

    @property
    def ends_at(self) -> float | None:
        """When the audio sent so far is over and more is due; None before the first packet."""
        return self._ends_at

    def send(self, payload_type: int, payload: bytes, samples: int, now: float) -> RtpPacket:
        """Return the next packet of audio, which is `samples` long."""
        marker = self._catch_up(now)
        packet = self._packet(payload_type, payload, self._timestamp, marker)
        self._advance(samples)
        return packet

    def send_event(
        self, payload_type: int, payload: bytes, now: float, *, begins: bool, samples: int
    ) -> RtpPacket:
        """Return a packet about an event, RFC 4733: all of them carry the event's start.

        Args:
            begins: whether it is the event's first packet.
            samples: how much time this packet accounts for; 0 for a repetition.
        """
        if begins:
            self._catch_up(now)
            self._event_at = self._timestamp
        packet = self._packet(payload_type, payload, self._event_at, begins)
        self._advance(samples)
        return packet

    def skip(self, samples: int, now: float) -> None:
        """Let time pass in which nothing is sent on purpose: a gap between digits."""
        self._catch_up(now)
        self._advance(samples)

    def _catch_up(self, now: float) -> bool:
        """Bring the timestamp up to `now` if we paused; return whether a talkspurt begins."""
        if self._ends_at is None:
            self._ends_at = now
            return True
        gap_s = now - self._ends_at
        if gap_s <= TALKSPURT_GAP_S:
            return False
        self._advance(round(gap_s * self._rate_hz))
        return True

    def _advance(self, samples: int) -> None:
        assert self._ends_at is not None
        self._timestamp = (self._timestamp + samples) & 0xFFFFFFFF
        self._ends_at += samples / self._rate_hz

    def _packet(self, payload_type: int, payload: bytes, timestamp: int, marker: bool) -> RtpPacket:
        sequence, self._sequence = self._sequence, (self._sequence + 1) & 0xFFFF
        self.packets += 1
        return RtpPacket(payload_type, sequence, timestamp, self.ssrc, payload, marker)
