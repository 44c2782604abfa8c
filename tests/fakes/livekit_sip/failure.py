"""Twirp's errors as LiveKit words them."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

from livekit import api

_HTTP = {
    "canceled": 408,
    "deadline_exceeded": 408,
    "failed_precondition": 412,
    "internal": 500,
    "invalid_argument": 400,
    "not_found": 404,
    "permission_denied": 403,
    "resource_exhausted": 429,
    "unauthenticated": 401,
    "unavailable": 503,
}
_OF_SIP = {
    404: "not_found",
    408: "deadline_exceeded",
    480: "resource_exhausted",
    486: "resource_exhausted",
    503: "failed_precondition",
    600: "resource_exhausted",
    603: "permission_denied",
}
PHRASES = {
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    480: "Temporarily Unavailable",
    486: "Busy Here",
    503: "Service Unavailable",
    600: "Busy Everywhere",
    603: "Decline",
}


@dataclass
class Failure(Exception):
    """An answer that is an error."""

    code: str
    message: str = ""
    meta: dict[str, str] = field(default_factory=dict)

    @property
    def http_status(self) -> int:
        return _HTTP[self.code]


def refused(status_code: int, what: str = "INVITE failed") -> Failure:
    """Return what a carrier's final answer becomes."""
    phrase = PHRASES.get(status_code, "Refused")
    detail = api.SIPStatus(status=phrase).SerializeToString()
    return Failure(
        _OF_SIP.get(status_code, "invalid_argument"),
        f"twirp error unknown: {what}: sip status: {status_code}: {phrase}",
        {
            "error_details": base64.b64encode(detail).decode(),
            "sip_status": phrase,
            "sip_status_code": str(status_code),
        },
    )


def reason_of(status_code: int) -> int:
    """Return with which reason a phone leaves whose carrier answered so."""
    if status_code in (486, 600, 603):
        return api.DisconnectReason.USER_REJECTED
    if status_code < 500:
        return api.DisconnectReason.USER_UNAVAILABLE
    return api.DisconnectReason.CLIENT_INITIATED
