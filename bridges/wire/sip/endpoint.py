"""One SIP endpoint: all calls and registrations of one address, without sockets or clocks.

The driver feeds it messages and time and sends what it hands out:

    events = endpoint.receive(data, flow, now)      # or any other call below
    for send in endpoint.outgoing(): ...            # after every call
    wake at endpoint.deadline(), then events = endpoint.expire(now)

`now` is monotonic seconds. A method that names a call raises `InvalidState` if the call is not in a
state for it, and `UnknownCall` (a `LookupError`) if the endpoint has forgotten it: the peer ends
calls too, so a driver that acts late catches the latter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bridges.wire.close import InvalidState
from bridges.wire.sip.address import Address
from bridges.wire.sip.call import Call
from bridges.wire.sip.digest import Credentials
from bridges.wire.sip.event import (
    CallHandle,
    Event,
    HeaderFields,
    RegistrationHandle,
)
from bridges.wire.sip.flow import Destination, Flow, Send, Target
from bridges.wire.sip.incoming import Incoming
from bridges.wire.sip.order import Order, place, restore
from bridges.wire.sip.profile import Profile
from bridges.wire.sip.registration import Registration
from bridges.wire.sip.router import Router
from bridges.wire.sip.uri import Uri

REFER_TIMEOUT_S = 60.0


class UnknownCall(LookupError):
    """The call is over and forgotten, or never was."""


class Overloaded(Exception):
    """The endpoint has as many calls as it may."""


class Endpoint:
    """One address's calls and registrations.

    Attributes:
        profile: who it is.
        counters: what it dropped or refused by itself.
    """

    def __init__(self, profile: Profile, random: Callable[[int], bytes]) -> None:
        """`random(n)` returns n unpredictable octets (`os.urandom`)."""
        self.profile = profile
        self._router = Router(profile, random)
        self._core = self._router.core
        self._registrations: dict[RegistrationHandle, Registration] = {}
        self.counters = self._core.counters

    # What the wire and the clock bring.

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Event]:
        """Take one datagram, or one message that a `StreamFramer` cut out of a stream.

        Raises:
            ProtocolError: it came on a stream and is no SIP: send what is `outgoing`, then close
                that connection. What is no SIP in a datagram is answered or dropped, and counted.
        """
        self._router.receive(data, flow, now)
        return self._told()

    def outgoing(self) -> list[Send]:
        """Return the messages to put on the wire since the last call, in order."""
        layer = self._core.layer
        sends, layer.outgoing = layer.outgoing, []
        return sends

    def deadline(self) -> float | None:
        """Return when `expire` wants to be called next, or None for not at all."""
        return self._core.agenda.deadline()

    def expire(self, now: float) -> list[Event]:
        """Let time pass."""
        self._core.agenda.expire(now)
        return self._told()

    def transport_failed(self, target: Target, detail: str, now: float) -> list[Event]:
        """Take note that a connection closed, or that something could not be sent there.

        Calls outlive their connections; what waits for a response on it is sent elsewhere or
        fails. A connection that was opened to a `Destination` fails as its `Flow` and as that.
        With UDP: an address that answers `port unreachable`, or a name that has no address.
        """
        self._router.fault(target, detail, now)
        return self._told()

    # Calls that come in.

    def ring(self, call: CallHandle, now: float) -> None:
        """Send 180 Ringing."""
        self._incoming(call).ring(now)

    def progress(self, call: CallHandle, sdp: bytes, now: float) -> None:
        """Send 183 Session Progress with an SDP answer: early media."""
        self._incoming(call).progress(sdp, now)

    def answer(self, call: CallHandle, sdp: bytes, now: float, headers: HeaderFields = ()) -> None:
        """Send 200 with the SDP answer (or with our offer, where the INVITE had none).

        `Acked` follows; or `Ended`, if the acknowledgement never comes.
        """
        self._incoming(call).answer(sdp, now, headers)
        self._call(call).answered()

    def reject(
        self,
        call: CallHandle,
        status: int,
        now: float,
        reason: str = "",
        headers: HeaderFields = (),
    ) -> None:
        """Refuse the call with a status from 300 to 699; `Released` follows, but the call is
        forgotten at once.

        A redirection (302) names its targets in `Contact` header fields.
        """
        self._incoming(call).reject(status, now, reason, headers)

    def authenticate(
        self, call: CallHandle, realm: str, credentials: Credentials, now: float
    ) -> bool:
        """Tell whether the INVITE proves to know the credentials.

        If not, it is answered 401 with a challenge (a caller who does know them calls again with
        a proof, as a new `Invited`), the call is over and `Released` follows. Both ends must have
        the password; what was proven is this request alone, so ask for every `Invited`.
        """
        return self._incoming(call).authenticate(realm, credentials, now)

    # Calls that go out.

    def invite(
        self,
        to: Address | Uri,
        caller: Address | Uri,
        sdp: bytes,
        destination: Destination,
        now: float,
        *,
        credentials: Credentials | None = None,
        headers: HeaderFields = (),
        route: Sequence[Address] = (),
        contact_user: str | None = None,
    ) -> CallHandle:
        """Call somebody.

        `Ringing` and `EarlyMedia` may follow, then one of `Answered`, `Failed`, `Unreachable`.
        There is no time limit after a provisional response: `cancel` is the driver's.

        Args:
            to: whom; its URI is the Request-URI.
            caller: From; a display name is the caller's name.
            destination: where the INVITE goes, whatever `to` says: the trunk's address.
            credentials: for a 401 or 407; tried once for each new challenge.
            headers: further header fields (`X-…`, `P-Asserted-Identity`).
            route: a route to preload (RFC 3261 section 8.1.2).
            contact_user: the user part of Contact; None for the profile's.

        Raises:
            Overloaded: the endpoint's limit of calls is reached.
        """
        if self._router.is_full:
            raise Overloaded
        order = Order(
            to if isinstance(to, Address) else Address(to),
            caller if isinstance(caller, Address) else Address(caller),
            sdp,
            destination,
            credentials,
            headers,
            tuple(route),
            contact_user or self.profile.contact_user,
        )
        return place(self._router, order, now)

    def cancel(self, call: CallHandle, now: float, reason: str = "") -> None:
        """Give up a call that is not answered; `Failed` follows, with 487 if the peer obeys.

        An answer that crosses it is acknowledged and hung up, and told as `Failed` too.
        `reason` is a Reason header field, such as `SIP;cause=480`.
        """
        outgoing = self._call(call).outgoing
        if outgoing is None:
            raise InvalidState("the call is not ours to give up")
        outgoing.cancel(reason, now)

    # Calls that are answered, whoever called.

    def bye(self, call: CallHandle, now: float, headers: HeaderFields = ()) -> None:
        """Hang up; `Released` follows.

        Before the ACK of our answer is there, the BYE waits for it (RFC 3261 section 15).
        """
        self._call(call).bye(headers, now)

    def reoffer(self, call: CallHandle, sdp: bytes, now: float) -> None:
        """Change the session: re-INVITE. `ReofferAccepted` or `ReofferRefused` follows.

        Raises:
            InvalidState: another change, ours or the peer's, is under way.
        """
        self._answered(call).reoffers.offer(sdp, now)

    def accept_reoffer(self, call: CallHandle, sdp: bytes, now: float) -> None:
        """Answer `Reoffered`."""
        self._answered(call).reoffers.accept(sdp, now)

    def refuse_reoffer(self, call: CallHandle, now: float, status: int = 488) -> None:
        """Refuse `Reoffered`: the session stays as it was."""
        self._answered(call).reoffers.refuse(status, now)

    def send_digit(self, call: CallHandle, digit: str, duration_ms: int, now: float) -> None:
        """Send a digit by INFO (`application/dtmf-relay`), after those before it were answered."""
        self._answered(call).keypad.send(digit, duration_ms, now)

    def refer(
        self,
        call: CallHandle,
        target: Uri,
        now: float,
        *,
        timeout_s: float = REFER_TIMEOUT_S,
        headers: HeaderFields = (),
    ) -> None:
        """Ask the peer to call `target` instead of us.

        `ReferRefused`, or `ReferAccepted` and any `ReferProgress`, then `ReferDone` or
        `ReferSilent`. The call goes on until somebody hangs up.

        Raises:
            InvalidState: another one is under way.
        """
        self._answered(call).transfer.refer(target, timeout_s, headers, now)

    def accept_refer(self, call: CallHandle, now: float) -> None:
        """Answer `Referred` with 202 and say 100 Trying."""
        self._answered(call).transfer.accept(now)

    def refuse_refer(self, call: CallHandle, now: float, status: int = 603) -> None:
        """Refuse `Referred`."""
        self._answered(call).transfer.refuse(status, now)

    def notify_refer(self, call: CallHandle, status: int, now: float, reason: str = "") -> None:
        """Tell the peer how its REFER goes; from 200 on it is the last word."""
        self._answered(call).transfer.notify(status, reason, now)

    # What outlives the process.

    def snapshot(self, call: CallHandle) -> str | None:
        """Return what a BYE of this call needs, as JSON; None while there is no dialog.

        Store it when the call is answered, and anew after each change of the session.
        """
        return self._call(call).snapshot()

    def restore(self, snapshot: str, credentials: Credentials | None = None) -> CallHandle:
        """Take over a call of an endpoint that died, to `bye` it; its media is gone.

        The handle is the one it had. `credentials`, which a snapshot does not hold, are for a
        trunk that asks even a BYE for them.

        Raises:
            ValueError: it is no such snapshot.
        """
        return restore(self._router, snapshot, credentials).handle

    # Being somebody's extension.

    def register(
        self,
        address_of_record: Uri,
        registrar: Destination,
        credentials: Credentials | None,
        now: float,
        *,
        expires_s: int = 3600,
        contact_user: str | None = None,
    ) -> RegistrationHandle:
        """Register with a PBX and stay registered: `Registered`, `RegistrationFailed`, again
        after every change, until `unregister`."""
        handle = RegistrationHandle(self._core.token())
        registration = Registration(
            self._core,
            handle,
            address_of_record,
            registrar,
            credentials,
            expires_s,
            contact_user or address_of_record.user or self.profile.contact_user,
        )
        self._registrations[handle] = registration
        registration.refresh(now)
        return handle

    def unregister(self, registration: RegistrationHandle, now: float) -> None:
        """Take the registration back; `Unregistered` follows.

        Raises:
            LookupError: it was taken back before, or never was.
        """
        self._registrations.pop(registration).leave(now)

    def _told(self) -> list[Event]:
        events, self._core.events = self._core.events, []
        return events

    def _call(self, handle: CallHandle) -> Call:
        try:
            return self._router.calls[handle]
        except KeyError:
            raise UnknownCall(handle) from None

    def _incoming(self, handle: CallHandle) -> Incoming:
        incoming = self._call(handle).incoming
        if incoming is None:
            raise InvalidState("the call did not come in")
        return incoming

    def _answered(self, handle: CallHandle) -> Call:
        call = self._call(handle)
        call.require_answered()
        return call
