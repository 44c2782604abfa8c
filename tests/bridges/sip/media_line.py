"""Two media streams joined back to back in virtual time, and packets to throw at one."""

from __future__ import annotations

import array
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from bridges.sip.rtp_stream import FRAME_BYTES, CallerAudio, RtpEvent, RtpStream
from bridges.wire.dtmf import Digit
from bridges.wire.latch import Address
from bridges.wire.media_plan import Codec, MediaPlan, SrtpKeys
from bridges.wire.rtp import RtpPacket
from bridges.wire.sdp import Crypto, Direction

HERE: Address = ("192.0.2.1", 4000)
THERE: Address = ("192.0.2.2", 5000)
ROGUE: Address = ("198.51.100.66", 666)
PLAN = MediaPlan(
    codec=Codec.PCMA,
    payload_type=8,
    dtmf_payload_type=101,
    receives={8: Codec.PCMA, 0: Codec.PCMU},
    receives_dtmf=frozenset({101}),
    receives_noise=frozenset({13}),
    ptime_ms=20,
    direction=Direction.SENDRECV,
    remote=THERE,
    srtp=None,
)
KEYS = [Crypto("1", "AES_CM_128_HMAC_SHA1_80", bytes([n]) * 30) for n in (1, 2)]
TONE = array.array(
    "h", [round(8000 * math.sin(2 * math.pi * 440 * at / 8000)) for at in range(160 * 100)]
).tobytes()


def frame(number: int) -> bytes:
    return TONE[number % 100 * FRAME_BYTES :][:FRAME_BYTES]


def stream(plan: MediaPlan | None = PLAN, *, started: bool = True, seed: int = 1) -> RtpStream:
    fresh = RtpStream(random.Random(seed))
    if plan is not None:
        fresh.apply(plan)
    if started:
        fresh.start(0.0)
    return fresh


def packet(
    number: int,
    payload: bytes = b"\xd5" * 160,
    *,
    payload_type: int = 8,
    ssrc: int = 7,
    timestamp: int | None = None,
) -> bytes:
    stamp = number * 160 if timestamp is None else timestamp
    return RtpPacket(payload_type, number & 0xFFFF, stamp, ssrc, payload).serialize()


def sent_by(ours: RtpStream) -> list[RtpPacket]:
    packets = [RtpPacket.parse(data) for data, _ in ours.outgoing()]
    return [each for each in packets if isinstance(each, RtpPacket)]


@dataclass
class Line:
    """Two streams, the first of which may speak; every packet goes through `network`."""

    ours: RtpStream
    theirs: RtpStream
    network: Callable[[bytes], bytes | None] = lambda data: data
    heard: dict[str, list[RtpEvent]] = field(default_factory=lambda: {"ours": [], "theirs": []})
    now: float = 0.0

    def run(self, seconds: float, speak: Callable[[int], bytes | None] = lambda _: None) -> None:
        """Let time pass in steps of 5 ms; `speak` gives the frame of every fourth."""
        for step in range(round(seconds / 0.005)):
            if step % 4 == 0 and (pcm := speak(step // 4)) is not None:
                self.ours.send(pcm, self.now)
            self.heard["ours"] += self.ours.tick(self.now)
            self.heard["theirs"] += self.theirs.tick(self.now)
            for data, target in self.ours.outgoing():
                assert target == THERE
                if (arriving := self.network(data)) is not None:
                    self.heard["theirs"] += self.theirs.receive(arriving, HERE, self.now)
            for data, _ in self.theirs.outgoing():
                self.heard["ours"] += self.ours.receive(data, THERE, self.now)
            self.now += 0.005

    def pcm(self, who: str) -> bytes:
        return b"".join(each.pcm for each in self.heard[who] if isinstance(each, CallerAudio))

    def digits(self, who: str) -> list[Digit]:
        return [each for each in self.heard[who] if isinstance(each, Digit)]


def line(plan: MediaPlan = PLAN, network: Callable[[bytes], bytes | None] | None = None) -> Line:
    back = plan.srtp and SrtpKeys(plan.srtp.remote, plan.srtp.local)
    theirs = replace(plan, remote=HERE, srtp=back)
    joined = Line(stream(plan), stream(theirs, seed=2))
    if network is not None:
        joined.network = network
    return joined
