"""What an endpoint tells its driver: a closed union of frozen records.

Every call has a handle of its own, made by the endpoint. The last event of a handle is `Cancelled`,
`Ended`, `Failed`, `Unreachable` or `Released`; after it the handle is forgotten. Header fields
and reasons are the peer's words: hostile text, and personal data.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NewType

from bridges.wire.sip.address import Address
from bridges.wire.sip.flow import Flow
from bridges.wire.sip.uri import Uri

CallHandle = NewType("CallHandle", str)
"""An endpoint's name of one call: letters and digits, unique across restarts."""
RegistrationHandle = NewType("RegistrationHandle", str)

HeaderFields = tuple[tuple[str, str], ...]
"""Names as they were written and values, in their order; text without control characters."""


@dataclass(frozen=True, slots=True)
class Invited:
    """A call comes in; 100 Trying is sent. `ring`, `progress`, `answer`, `reject` or
    `authenticate` it.

    Attributes:
        flow: who sent it, for a policy on peers.
        request_uri: whom it is for, as the last hop wrote it; `request_uri.name` is the DID.
        caller: From.
        callee: To.
        call_id: the peer's Call-ID, as text.
        headers: all header fields.
        sdp: the offer, or None: then `answer` brings our offer and `Acked` the peer's answer.
        username: whom an Authorization header field claims to be, `""` without one.
    """

    call: CallHandle
    flow: Flow
    request_uri: Uri
    caller: Address
    callee: Address
    call_id: str
    headers: HeaderFields
    sdp: bytes | None
    username: str = ""

    def header(self, name: str) -> str:
        """Return the first value of that header field, `""` without one; any case."""
        return next((value for each, value in self.headers if each.lower() == name.lower()), "")


@dataclass(frozen=True, slots=True)
class Acked:
    """Our answer has arrived (or our acceptance of a re-INVITE): media may flow.

    Attributes:
        sdp: the peer's answer where the offer was ours, else None.
    """

    call: CallHandle
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The caller hung up before we answered; 487 is sent. The call is over.

    Attributes:
        reason: the Reason header field, `""` without one; `SIP;cause=200`: another phone answered.
    """

    call: CallHandle
    reason: str


class EndCause(Enum):
    """Why an answered call is over."""

    BYE = "bye"
    """The peer hung up."""
    ACK_TIMEOUT = "ack_timeout"
    """Our 200 was never acknowledged; BYE is sent."""
    SESSION_EXPIRED = "session_expired"
    """The peer did not refresh the session in time (RFC 4028); BYE is sent."""
    DIALOG_LOST = "dialog_lost"
    """The peer answered 481 or 408 to a request, or nothing at all; BYE is sent."""
    BAD_ANSWER = "bad_answer"
    """What was to answer our offer carried no SDP; BYE is sent."""


@dataclass(frozen=True, slots=True)
class Ended:
    """An answered call is over, and not by us.

    Attributes:
        reason: the Reason header field of the BYE, `""` without one.
    """

    call: CallHandle
    cause: EndCause
    reason: str = ""
    headers: HeaderFields = ()


@dataclass(frozen=True, slots=True)
class Released:
    """A call that we ended is over on the wire too: nothing of it needs to be stored any more.

    Attributes:
        answered: whether the peer answered our BYE or acknowledged our rejection.
    """

    call: CallHandle
    answered: bool


@dataclass(frozen=True, slots=True)
class Ringing:
    """The far phone rings, or someone on the way says so (180, 181, 182, or 183 without SDP)."""

    call: CallHandle
    status: int


@dataclass(frozen=True, slots=True)
class EarlyMedia:
    """The far side plays something before the answer; its SDP, from a provisional response."""

    call: CallHandle
    status: int
    sdp: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """The far phone is picked up; ACK is sent.

    Attributes:
        sdp: its answer to our offer.
        headers: all header fields of the 200.
    """

    call: CallHandle
    sdp: bytes
    headers: HeaderFields


@dataclass(frozen=True, slots=True)
class Failed:
    """Our call was refused, or ended by our own `cancel` (487). The call is over.

    Attributes:
        status: the final response's, 300 to 699.
        reason: its reason phrase.
        headers: its header fields; `Retry-After`, `Contact` of a redirection, `Reason`.
        is_answered: our `cancel` crossed an answer: the phone was picked up and we hung up.
    """

    call: CallHandle
    status: int
    reason: str
    headers: HeaderFields = ()
    is_answered: bool = False


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Nobody answered our INVITE at all: no response in 32 s, or no way there. The call is over.

    Attributes:
        detail: the transport's words, or that there was no response; not the peer's.
    """

    call: CallHandle
    detail: str


@dataclass(frozen=True, slots=True)
class Reoffered:
    """The peer changes the session (re-INVITE or UPDATE): hold, resume, another codec or address.

    Answer with `accept_reoffer` or `refuse_reoffer`. A refresh that changes nothing is answered
    by the endpoint and not told.

    Attributes:
        sdp: the offer, or None: then the accepting SDP is our offer and `Acked` brings the answer.
    """

    call: CallHandle
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class ReofferAccepted:
    """The peer accepted our `reoffer`: its answer."""

    call: CallHandle
    sdp: bytes


@dataclass(frozen=True, slots=True)
class ReofferRefused:
    """The peer refused our `reoffer`: the session is as it was. Glare (491) was tried again first.

    Attributes:
        status: the response's; 408 where there was none.
    """

    call: CallHandle
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class DigitPressed:
    """The peer sent a digit by INFO: `0`-`9`, `*`, `#` or `A`-`D`."""

    call: CallHandle
    digit: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class DigitRefused:
    """The peer does not take digits by INFO."""

    call: CallHandle
    digit: str
    status: int


@dataclass(frozen=True, slots=True)
class ReferAccepted:
    """The peer is about to try our `refer` (2xx): not a success yet."""

    call: CallHandle


@dataclass(frozen=True, slots=True)
class ReferProgress:
    """How far the transfer is: the status below 200 of a NOTIFY."""

    call: CallHandle
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class ReferDone:
    """How the transfer ended: the final status of a NOTIFY; 2xx is the only success.

    Attributes:
        status: 408 where the subscription ended without a final status.
    """

    call: CallHandle
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class ReferRefused:
    """The peer did not take our `refer`.

    Attributes:
        status: the response's; 408 where there was none.
    """

    call: CallHandle
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class ReferSilent:
    """No final NOTIFY came in the time `refer` allowed; a later one is answered, not told."""

    call: CallHandle


@dataclass(frozen=True, slots=True)
class Referred:
    """The peer asks us to call somebody else: `accept_refer`, then `notify_refer`; or
    `refuse_refer`.

    Attributes:
        target: Refer-To.
        referred_by: `""` without one.
        replaces: whether the target replaces another call (an attended transfer).
    """

    call: CallHandle
    target: Address
    referred_by: str
    replaces: bool


@dataclass(frozen=True, slots=True)
class Registered:
    """The registrar knows us; the endpoint refreshes it in time.

    Attributes:
        expires_s: for how long.
    """

    registration: RegistrationHandle
    expires_s: float


@dataclass(frozen=True, slots=True)
class RegistrationFailed:
    """The registrar refused us or did not answer; the endpoint tries again.

    Attributes:
        status: the response's; 408 where there was none, 503 where there was no way there.
        retry_in_s: when; half an hour or so if the credentials are what is wrong.
    """

    registration: RegistrationHandle
    status: int
    reason: str
    retry_in_s: float


@dataclass(frozen=True, slots=True)
class Unregistered:
    """The registrar has forgotten us, as we asked it to, or did not answer that."""

    registration: RegistrationHandle


CallEvent = (
    Invited
    | Acked
    | Cancelled
    | Ended
    | Released
    | Ringing
    | EarlyMedia
    | Answered
    | Failed
    | Unreachable
    | Reoffered
    | ReofferAccepted
    | ReofferRefused
    | DigitPressed
    | DigitRefused
    | ReferAccepted
    | ReferProgress
    | ReferDone
    | ReferRefused
    | ReferSilent
    | Referred
)
RegistrationEvent = Registered | RegistrationFailed | Unregistered
Event = CallEvent | RegistrationEvent
"""What `Endpoint.receive`, `expire` and `transport_failed` return."""

FINAL = (Cancelled, Ended, Failed, Unreachable, Released)
"""The events after which nothing more is told of a call."""


@dataclass(slots=True)
class Counters:
    """What an endpoint dropped or refused by itself, for metrics.

    Attributes:
        malformed: messages that were no SIP.
        stray_responses: responses to nothing we sent.
        stray_acks: ACKs of nothing we answered.
        retransmissions: requests we had already.
        unknown_dialogs: requests answered 481.
        overloads: requests answered 503 because a limit was reached.
        refusals: requests answered with an error by status.
    """

    malformed: int = 0
    stray_responses: int = 0
    stray_acks: int = 0
    retransmissions: int = 0
    unknown_dialogs: int = 0
    overloads: int = 0
    refusals: dict[int, int] = field(default_factory=dict)
