"""How a call that we placed came out, in the words of SIP and of the queue's API."""

from __future__ import annotations

from contracts.outcome import Reason

_STATUS = {
    Reason.BUSY: "busy",
    Reason.NO_ANSWER: "no_answer",
    Reason.DECLINED: "rejected",
    Reason.CALLEE_UNKNOWN: "unreachable",
    Reason.DIAL_ABORTED: "cancelled",
    Reason.CARRIER_UNREACHABLE: "timeout",
}
_FORBIDDEN = 403

_TEXTS = {
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    491: "Request Pending",
    493: "Undecipherable",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
}


def call_status(reason: Reason, sip_status_code: int | None, *, answered: bool) -> str:
    """Return the `call_status` of a call that we placed.

    Args:
        reason: how its leg ended.
        sip_status_code: the carrier's final answer, where there was one.
        answered: whether somebody picked up.
    """
    if answered:
        return "failed" if reason is Reason.NO_MEDIA else "completed"
    if sip_status_code == _FORBIDDEN:
        return "rejected"
    return _STATUS.get(reason, "failed")


def status_text(reason: Reason, sip_status_code: int | None) -> str:
    """Return what a final answer is called (RFC 3261, section 21); "" where there was none."""
    if sip_status_code is None:
        return "SIP timeout" if reason is Reason.CARRIER_UNREACHABLE else ""
    return _TEXTS.get(sip_status_code, "")
