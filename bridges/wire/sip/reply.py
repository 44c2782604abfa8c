"""Responses as RFC 3261 section 8.2.6 makes them of requests, and the ACK of section 17.1.1.3."""

from __future__ import annotations

from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.event import HeaderFields
from bridges.wire.sip.header import Headers
from bridges.wire.sip.message import Request, Response

REASONS = {
    100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 182: "Queued",
    183: "Session Progress", 200: "OK", 202: "Accepted", 300: "Multiple Choices",
    301: "Moved Permanently", 302: "Moved Temporarily", 400: "Bad Request", 401: "Unauthorized",
    403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable",
    407: "Proxy Authentication Required", 408: "Request Timeout", 410: "Gone",
    413: "Request Entity Too Large", 414: "Request-URI Too Long", 415: "Unsupported Media Type",
    416: "Unsupported URI Scheme", 420: "Bad Extension", 422: "Session Interval Too Small",
    480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 482: "Loop Detected",
    483: "Too Many Hops", 484: "Address Incomplete", 486: "Busy Here", 487: "Request Terminated",
    488: "Not Acceptable Here", 489: "Bad Event", 491: "Request Pending",
    500: "Server Internal Error", 501: "Not Implemented", 503: "Service Unavailable",
    505: "Version Not Supported", 513: "Message Too Large", 600: "Busy Everywhere",
    603: "Decline", 606: "Not Acceptable",
}  # fmt: skip


def respond(
    request: Request,
    status: int,
    *,
    tag: str = "",
    reason: str = "",
    headers: HeaderFields = (),
    body: bytes = b"",
    content_type: str = "application/sdp",
) -> Response:
    """Return a response to the request.

    Args:
        tag: of To, where the request has none.
        reason: `""` for the status's usual phrase.
        headers: beyond those that every response has.
    """
    fields = Headers(("Via", via.serialize()) for via in request.vias)
    for name in ("From", "To", "Call-ID", "CSeq"):
        # A request that lacks one, or has two, is refused; what there is says which it was.
        for value in request.headers.lines(name)[:1]:
            fields.append_received(name, _tagged(request, tag) if name == "To" and tag else value)
    if 101 <= status < 300:
        for value in request.headers.lines("Record-Route"):
            fields.append_received("Record-Route", value)
    for name, value in headers:
        fields.add(name, value)
    if body:
        fields.add("Content-Type", content_type)
    clean = " ".join((reason or REASONS.get(status, "")).split())
    return Response(status, clean, fields, body)


def _tagged(request: Request, tag: str) -> str:
    """Return To with our tag, if it can have one."""
    try:
        to = request.to_address
    except ProtocolError:
        return request.headers.lines("To")[0]
    return request.headers.lines("To")[0] if to.tag else to.with_param("tag", tag).serialize()


def ack_of_failure(invite: Request, response: Response) -> Request:
    """Return the ACK of a final response other than 2xx: it goes where the INVITE went."""
    headers = Headers()
    headers.add("Via", invite.vias[0].serialize())
    for value in invite.headers.lines("Route"):
        headers.add("Route", value)
    headers.add("From", invite.headers.require("From"))
    headers.append_received("To", response.headers.require("To"))
    headers.add("Call-ID", invite.call_id)
    headers.add("CSeq", f"{invite.cseq.number} ACK")
    headers.add("Max-Forwards", "70")
    return Request("ACK", invite.uri_text, headers)


def cancel_of(invite: Request, reason: str) -> Request:
    """Return the CANCEL of an INVITE, without Via (RFC 3261 section 9.1)."""
    headers = Headers()
    for name in ("Route", "From", "To", "Call-ID"):
        for value in invite.headers.lines(name):
            headers.append_received(name, value)
    headers.add("CSeq", f"{invite.cseq.number} CANCEL")
    headers.add("Max-Forwards", "70")
    if reason:
        headers.add("Reason", reason)
    return Request("CANCEL", invite.uri_text, headers)


def credentials_of(request: Request) -> HeaderFields:
    """Return the proofs that a request carries."""
    return tuple(
        (name, value)
        for name in ("Authorization", "Proxy-Authorization")
        for value in request.headers.lines(name)
    )
