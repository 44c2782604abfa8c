"""How calls begin that nobody sent us: placed by the driver, or taken over from another process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from bridges.wire.sip.address import Address
from bridges.wire.sip.call import Call
from bridges.wire.sip.dialog import Dialog
from bridges.wire.sip.digest import Credentials, Prover
from bridges.wire.sip.event import CallHandle, HeaderFields
from bridges.wire.sip.flow import Destination
from bridges.wire.sip.header import Headers
from bridges.wire.sip.line import Line
from bridges.wire.sip.outgoing import Outgoing
from bridges.wire.sip.router import Router


@dataclass(frozen=True, slots=True)
class Order:
    """A call to place; `Endpoint.invite` says what each part is."""

    to: Address
    caller: Address
    sdp: bytes
    destination: Destination
    credentials: Credentials | None
    headers: HeaderFields
    route: tuple[Address, ...]
    contact_user: str


def place(router: Router, order: Order, now: float) -> CallHandle:
    """Send the INVITE of a new call."""
    core = router.core
    handle = CallHandle(core.token())
    prover = Prover(order.credentials, core.random) if order.credentials else None
    line = Line(core, handle, prover)
    call = Call(core, line, router.forget, is_caller=True)

    def answer(dialog: Dialog) -> None:
        line.dialog = dialog
        call.answered()
        router.index(call)

    headers = Headers(("Route", each.serialize()) for each in order.route)
    headers.add("From", order.caller.with_param("tag", handle).serialize())
    headers.add("To", order.to.serialize())
    headers.add("Call-ID", core.token())
    headers.add("Max-Forwards", "70")
    headers.add("Contact", core.contact(order.destination.transport, order.contact_user))
    for name, value in (*core.abilities(), *core.identity("User-Agent"), *order.headers):
        headers.add(name, value)
    headers.add("Content-Type", "application/sdp")

    call.outgoing = Outgoing(
        line, call.reoffers, order.destination, order.sdp, answer, call.abandon
    )
    router.add(call)
    uri = order.to.uri.without_headers().serialize()
    call.outgoing.start(uri, headers, 1, now)
    return handle


def restore(router: Router, snapshot: str, credentials: Credentials | None) -> Call:
    """Take over a call from its snapshot.

    Raises:
        ValueError: it is none.
    """
    try:
        fields: dict[str, Any] = json.loads(snapshot)
        handle, dialog = CallHandle(str(fields["call"])), Dialog.from_json(fields["dialog"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError("expected a call as JSON") from error
    prover = Prover(credentials, router.core.random) if credentials else None
    call = Call(router.core, Line(router.core, handle, prover), router.forget, is_caller=True)
    call.restore(dialog)
    router.add(call)
    router.index(call)
    return call
