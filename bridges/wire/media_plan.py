"""What two sides of a call agree on: `Capabilities` and a peer's description make a `MediaPlan`, or
a typed `Refusal`. How they do is `bridges.wire.offer_answer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from bridges.wire.sdp import Crypto, Direction

RATE_HZ = 8000
FRAME_MS = 20
"""How much audio we put into a packet, whatever `a=ptime` asks for: it is a wish (RFC 8866 section
6.4), and more would be delay. A limit, `a=maxptime`, below it is obeyed with half of it."""
SHORT_FRAME_MS = 10


class Codec(Enum):
    """G.711's two laws, by their name in `a=rtpmap`; the value's number is RFC 3551's."""

    PCMA = ("PCMA", 8)
    PCMU = ("PCMU", 0)

    @property
    def encoding(self) -> str:
        """The name in `a=rtpmap`."""
        return self.value[0]

    @property
    def static_payload_type(self) -> int:
        """The payload type that needs no `a=rtpmap`."""
        return self.value[1]


class SrtpUse(Enum):
    """Whether media are encrypted with keys from the description (SDES)."""

    NEVER = "never"
    OPTIONAL = "optional"
    """Accepted where a peer offers it, also under plain `RTP/AVP`. Our own offers carry no keys:
    carriers exist that refuse a plain offer with keys."""
    REQUIRED = "required"


class RefusalReason(Enum):
    """Why there is no plan. Answer 488, or leave a dialog that exists as it was."""

    NO_AUDIO = "no audio"
    NO_COMMON_CODEC = "no common codec"
    BAD_ADDRESS = "no address that media can be sent to"
    SRTP_REQUIRED = "encryption required but absent"
    SRTP_UNSUPPORTED = "encryption of a kind that is not supported"
    MISMATCH = "answer does not fit the offer"


@dataclass(frozen=True, slots=True)
class Refusal:
    """There is no plan, and why."""

    reason: RefusalReason


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a call may use.

    Attributes:
        codecs: in the order we offer them.
        own_order: whether that order also decides over an offer's; else the offerer's does, as
            RFC 3264 section 6.1 advises.
        dtmf: whether RFC 4733 events are offered and accepted.
        srtp: whether media are encrypted.
    """

    codecs: tuple[Codec, ...] = (Codec.PCMA, Codec.PCMU)
    own_order: bool = False
    dtmf: bool = True
    srtp: SrtpUse = SrtpUse.OPTIONAL


@dataclass(frozen=True, slots=True)
class LocalMedia:
    """Where we receive: the address to advertise, which behind NAT is not the socket's, and port.

    `session_id` is for the `o=` line: a number, unique per call.
    """

    address: str
    port: int
    session_id: int


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """Both directions' suites (`bridges.wire.srtp.SUITES`) and master keys with their salts."""

    local: Crypto
    remote: Crypto


@dataclass(frozen=True, slots=True)
class MediaPlan:
    """What both sides agreed on.

    Attributes:
        codec: what we send, as `payload_type`.
        dtmf_payload_type: what we send digits as; None where the peer does not take them.
        receives: what may arrive: payload type to codec.
        receives_dtmf: payload types of digits that may arrive.
        receives_noise: payload types of comfort noise that may arrive.
        ptime_ms: audio per packet we send, 20 or 10.
        direction: ours: `RECVONLY` or `INACTIVE` is hold.
        remote: where the peer says it receives; None under an old-style hold (`c=0.0.0.0`).
        srtp: None for plain RTP.
    """

    codec: Codec
    payload_type: int
    dtmf_payload_type: int | None
    receives: dict[int, Codec]
    receives_dtmf: frozenset[int]
    receives_noise: frozenset[int]
    ptime_ms: int
    direction: Direction
    remote: tuple[str, int] | None
    srtp: SrtpKeys | None

    @property
    def is_held(self) -> bool:
        """Whether the peer put us on hold: it does not want to hear us."""
        return not self.direction.sends

    def takes(self, payload_type: int) -> bool:
        """Return whether a packet of this type is what we agreed to receive."""
        return (
            payload_type in self.receives
            or payload_type in self.receives_dtmf
            or payload_type in self.receives_noise
        )
