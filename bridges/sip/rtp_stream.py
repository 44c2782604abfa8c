"""A call's media between datagrams and PCM, sans-I/O: codec, encryption, digits, jitter, silence.

`bridges.sip.rtp_socket` is its asyncio edge.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bridges.audio.concealment import Concealer
from bridges.audio.g711 import A_LAW, MU_LAW, Law
from bridges.audio.jitter import JitterBuffer, Lost, Quiet, Sound
from bridges.wire.dtmf import Digit, DtmfReceiver, EventPacket, digit_steps, steps_of
from bridges.wire.latch import Address, Latch, Trust
from bridges.wire.media_plan import Codec, MediaPlan
from bridges.wire.rtp import Arrival, Defect, RtpPacket, RtpSender, SequenceTracker
from bridges.wire.srtp import SrtpDefect, SrtpReceiver, SrtpSender

RATE_HZ = 8000
FRAME_BYTES = 320
STEP_SAMPLES = 160
FRAME_S = 0.02
GRACE_S = 0.005
"""How long silence waits for the bot to say something instead, ..."""
SPEECH_GRACE_S = 0.015
"""... and how long while it speaks: a frame may be late, and silence before it would be heard."""
MOST_WAITING_FRAMES = 1
"""More than one is a stall that is over: what is overdue leaves at once."""
_LAWS: dict[Codec, Law] = {Codec.PCMA: A_LAW, Codec.PCMU: MU_LAW}


@dataclass(frozen=True, slots=True)
class CallerAudio:
    """What is heard of the caller, PCM16 at 8 kHz, about 20 ms of it, ending now."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class MediaStarted:
    """The first packet came."""


RtpEvent = CallerAudio | Digit | MediaStarted
Datagram = tuple[bytes, Address]
_OVER = object()


class RtpStream:
    """One call's media, both directions.

    Which call is legal when: `apply` first and again at will, `start` once, everything else always
    (nothing happens before `apply`). Drain `outgoing` after each.

    Attributes:
        received_first_at: when the first packet came; None before.
        received_last_at: when the last one came.
    """

    def __init__(self, randomness: random.Random, trust: Trust = Trust.SIGNALLED) -> None:
        self.received_first_at: float | None = None
        self.received_last_at: float | None = None
        self._latch = Latch(trust)
        self._plan: MediaPlan | None = None
        self._encrypt: SrtpSender | None = None
        self._decrypt: SrtpReceiver | None = None
        self._sender = RtpSender(randomness)
        self._sequence = SequenceTracker()
        self._dtmf = DtmfReceiver()
        self._jitter: JitterBuffer | None = None
        self._started_at = 0.0
        self._concealer = Concealer()
        self._dropped: Counter[str] = Counter()
        self._digits: deque[Iterator[EventPacket | None]] = deque()
        self._outgoing: list[Datagram] = []
        self._frames: deque[bytes] = deque()
        self._unsent_frames = 0
        self._spoke_last = False

    def apply(self, plan: MediaPlan, hosts: frozenset[str] = frozenset()) -> None:
        """Send and receive as `plan` says; `hosts` are trusted beside the one it names."""
        before, self._plan = self._plan, plan
        keys, old = plan.srtp, before.srtp if before is not None else None
        # A context lives as long as its key: roll-overs are counted across re-INVITEs.
        if keys is None:
            self._encrypt = self._decrypt = None
        else:
            if old is None or old.local != keys.local:
                self._encrypt = SrtpSender(keys.local)
            if old is None or old.remote != keys.remote:
                self._decrypt = SrtpReceiver(keys.remote)
        self._latch.expect(plan.remote, hosts)
        if not plan.direction.sends:
            self._frames.clear()

    def start(self, now: float) -> None:
        """Let audio flow from now on."""
        self._jitter = JitterBuffer(now)
        self._started_at = now

    def receive(self, data: bytes, source: Address, now: float) -> list[RtpEvent]:
        """Take a datagram and return what it means at once; its audio comes by `tick`."""
        packet = self._accept(data, source, now)
        if isinstance(packet, str):
            self._dropped[packet] += 1
            return []
        assert self._plan is not None
        events: list[RtpEvent] = []
        if self.received_first_at is None:
            self.received_first_at = now
            events.append(MediaStarted())
        self.received_last_at = now
        if packet.payload_type in self._plan.receives_dtmf:
            if self._jitter is not None:
                self._jitter.pause()
            return events + self._dtmf.receive(packet.payload, packet.timestamp, now)
        if packet.payload_type in self._plan.receives_noise:
            self._concealer.describe_noise(packet.payload)
            if self._jitter is not None:
                self._jitter.pause()
            return events
        self._sequence.observe(packet.timestamp, now)
        if self._jitter is not None:
            law = _LAWS[self._plan.receives[packet.payload_type]]
            self._jitter.insert(packet.timestamp, law.decode(packet.payload), now)
        return events

    def deadline(self) -> float | None:
        """Return when `tick` wants to be called; None before `start`."""
        if self._jitter is None:
            return None
        times = [self._jitter.deadline(), self._dtmf.deadline()]
        if self._may_send():
            times.append(self._fills_at())
        return min(time for time in times if time is not None)

    def tick(self, now: float) -> list[RtpEvent]:
        """Return what is heard by `now`; digits and silence that are due go to `outgoing`."""
        if self._jitter is None:
            return []
        events: list[RtpEvent] = [*self._dtmf.expire(now)]
        pieces = []
        for stretch in self._jitter.tick(now):
            match stretch:
                case Sound():
                    pieces.append(self._concealer.play(stretch.pcm))
                case Lost():
                    pieces.append(self._concealer.conceal(stretch.samples))
                case Quiet():
                    pieces.append(self._concealer.rest(stretch.samples))
        if pcm := b"".join(pieces):
            events.append(CallerAudio(pcm))
        while self._may_send() and self._fills_at() <= now:
            self._fill(now)
        return events

    def send(self, pcm: bytes, now: float) -> bool:
        """Send a frame of 20 ms, now or where the last packet ends; return whether it will leave.

        Speech may begin at any moment, but packets that follow silence too closely are jitter to
        the phone: its buffer would grow for the rest of the call.
        """
        assert len(pcm) == FRAME_BYTES, "a frame has 20 ms"
        if self._digits or not self._may_send():
            self._unsent_frames += 1
            return False
        self._frames.append(pcm)
        while self._frames and (self._fills_at() <= now or len(self._frames) > MOST_WAITING_FRAMES):
            self._fill(now)
        return True

    def send_digits(self, digits: str, *, duration_ms: int, gap_ms: int) -> float:
        """Send digits after those under way; return for how many seconds all of them take.

        Raises:
            ValueError: see `digit_steps`.
        """
        steps = digit_steps(digits, duration_ms=duration_ms, gap_ms=gap_ms)
        if self._plan is None or self._plan.dtmf_payload_type is None:
            return 0.0
        self._digits.append(steps)
        return steps_of(digits, duration_ms=duration_ms, gap_ms=gap_ms) * FRAME_S

    def outgoing(self) -> list[Datagram]:
        """Return what to send since the last call: datagrams and where they go."""
        datagrams, self._outgoing = self._outgoing, []
        return datagrams

    def stats(self) -> dict[str, Any]:
        """Return both directions' figures; times in milliseconds."""
        figures: dict[str, Any] = {
            "sent_packets": self._sender.packets,
            "unsent_frames": self._unsent_frames,
            "received_packets": self._sequence.received,
            "lost_packets": self._sequence.lost,
            "jitter_ms": round(self._sequence.jitter_s * 1000, 1),
            "dropped_packets": dict(self._dropped),
            "ignored_events": self._dtmf.ignored,
        }
        if self._jitter is not None:
            stats = self._jitter.stats
            figures |= {
                "late_packets": stats.late,
                "concealed_ms": stats.concealed * 1000 // RATE_HZ,
                "stretched_ms": stats.stretched * 1000 // RATE_HZ,
                "cut_ms": (stats.cut + stats.dropped) * 1000 // RATE_HZ,
                "resyncs": stats.resyncs,
                "buffer_ms": round(self._jitter.target_ms),
            }
        return figures

    def _accept(self, data: bytes, source: Address, now: float) -> RtpPacket | str:
        """Return the packet if it is this call's, else why it is not."""
        if self._decrypt is not None:
            plain = self._decrypt.unprotect(data)
            if isinstance(plain, SrtpDefect):
                return plain.value
            data = plain
        packet = RtpPacket.parse(data)
        if isinstance(packet, Defect):
            return packet.value
        if self._plan is None or not self._plan.takes(packet.payload_type):
            return "payload_type"
        before = self._latch.ssrc
        if not self._latch.admit(source, packet.ssrc, now, authentic=self._decrypt is not None):
            return "source"
        if before not in (None, packet.ssrc):
            self._sequence.begin()
            self._begin_audio()
        match self._sequence.arrive(packet.sequence):
            case Arrival.DUPLICATE:
                return Arrival.DUPLICATE.value
            case Arrival.JUMPED:
                return Arrival.JUMPED.value
            case Arrival.RESTARTED:
                self._begin_audio()
            case Arrival.IN_ORDER | Arrival.REORDERED:
                pass
        return packet

    def _begin_audio(self) -> None:
        if self._jitter is not None:
            self._jitter.restart()

    def _may_send(self) -> bool:
        return (
            self._jitter is not None
            and self._plan is not None
            and self._plan.direction.sends
            and self._latch.target is not None
        )

    def _fills_at(self) -> float:
        ends_at = self._sender.ends_at
        if ends_at is None:
            ends_at = self._started_at
        if self._digits or self._frames:
            return ends_at
        return ends_at + (SPEECH_GRACE_S if self._spoke_last else GRACE_S)

    def _fill(self, now: float) -> None:
        """Send what waits, the next packet of a digit, or silence: a dead line is hung up on."""
        self._spoke_last = bool(self._frames)
        if self._frames:
            self._send_audio(self._frames.popleft(), now)
            return
        if not self._digits:
            self._send_audio(bytes(FRAME_BYTES), now)
            return
        assert self._plan is not None
        step = next(self._digits[0], _OVER)
        number = self._plan.dtmf_payload_type
        if step is _OVER or number is None:
            # A re-INVITE may have taken away what digits are sent as.
            self._digits.popleft()
        elif isinstance(step, EventPacket):
            packet = self._sender.send_event(
                number, step.payload, now, begins=step.begins, samples=step.samples
            )
            self._put(packet)
        else:
            self._sender.skip(STEP_SAMPLES, now)

    def _send_audio(self, pcm: bytes, now: float) -> None:
        plan = self._plan
        assert plan is not None
        octets = _LAWS[plan.codec].encode(pcm)
        size = plan.ptime_ms * RATE_HZ // 1000
        for start in range(0, len(octets), size):
            piece = octets[start : start + size]
            self._put(self._sender.send(plan.payload_type, piece, len(piece), now))

    def _put(self, packet: RtpPacket) -> None:
        target = self._latch.target
        assert target is not None, "`_may_send` says whether there is one"
        data = packet.serialize()
        if self._encrypt is not None:
            data = self._encrypt.protect(data)
        self._outgoing.append((data, target))
