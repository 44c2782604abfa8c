"""What is wrong with a request before anybody looks what it wants (RFC 3261 section 8.2)."""

from __future__ import annotations

from dataclasses import dataclass

from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.event import HeaderFields
from bridges.wire.sip.grammar import is_token
from bridges.wire.sip.message import Request
from bridges.wire.sip.profile import ACCEPT, ALLOW, SUPPORTED

IMPLEMENTED = frozenset(ALLOW.split(", "))
REFUSED = frozenset({"MESSAGE", "PUBLISH", "PRACK", "REGISTER", "SUBSCRIBE"})
"""Methods that we know and do not do; others we do not even know."""
_SESSION_METHODS = frozenset({"INVITE", "UPDATE"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a request is answered with instead of being done."""

    status: int
    headers: HeaderFields = ()


def refusal_of(request: Request) -> Refusal | None:
    """Return why the request cannot be done, None if it can.

    Raises:
        ProtocolError: what says so is malformed.
    """
    if request.method not in IMPLEMENTED:
        if request.method == "SUBSCRIBE":
            return Refusal(489, (("Allow-Events", "refer"),))
        return Refusal(405 if request.method in REFUSED else 501, (("Allow", ALLOW),))
    unknown = [each for each in request.headers.values("Require") if each.lower() != SUPPORTED]
    if not all(is_token(each) for each in unknown):
        raise ProtocolError("Require: expected tokens")
    if unknown and request.method != "CANCEL":
        return Refusal(420, (("Unsupported", ", ".join(unknown)),))
    return _refusal_of_body(request)


def _refusal_of_body(request: Request) -> Refusal | None:
    encodings = [each for each in request.headers.tokens("Content-Encoding") if each != "identity"]
    if request.body and encodings:
        return Refusal(415, (("Accept-Encoding", "identity"),))
    if request.method not in _SESSION_METHODS:
        return None
    disposition = (request.headers.get("Content-Disposition") or "").lower().replace(" ", "")
    is_optional = "handling=optional" in disposition
    if request.body and request.content_type != "application/sdp" and not is_optional:
        return Refusal(415, (("Accept", ACCEPT),))
    if "Accept" in request.headers:
        wanted = {each.partition(";")[0].strip() for each in request.headers.tokens("Accept")}
        if not wanted & {"application/sdp", "application/*", "*/*"}:
            return Refusal(406)
    return None
