"""A SIP call's own header fields: as template variables (`{{call.sip_header_x_customer_id}}`), and
which of them others may put on our requests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

MAX_HEADERS = 50
MAX_VALUE_CHARS = 2000
_OTHER = re.compile(r"[^a-z0-9]+")
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]{1,100}")
_OURS = frozenset(
    {
        *("allow", "authorization", "call-id", "contact", "content-length", "content-type"),
        *("cseq", "expires", "from", "max-forwards", "min-se", "proxy-authorization"),
        *("proxy-require", "record-route", "require", "route", "session-expires", "supported"),
        *("to", "user-agent", "via", "i", "m", "l", "c", "f", "k", "t", "v", "x"),
    }
)
"""What whoever speaks SIP writes alone: RFC 3261 and 4028, compact forms included."""


def header_variables(headers: Mapping[str, str]) -> dict[str, str]:
    """Return what a call's `connected_event` says of its `X-` header fields.

    `X-Customer-Id: 7` becomes `sip_header_x_customer_id: "7"`; `sip_headers_json` holds all of them
    under their names in lower case. Values are cut to `MAX_VALUE_CHARS`, fields beyond
    `MAX_HEADERS` left out; without any there are no variables.
    """
    kept = {name.lower(): value[:MAX_VALUE_CHARS] for name, value in headers.items()}
    kept = dict(list(kept.items())[:MAX_HEADERS])
    if not kept:
        return {}
    variables = {f"sip_header_{_OTHER.sub('_', name)}": value for name, value in kept.items()}
    return {**variables, "sip_headers_json": json.dumps(kept, ensure_ascii=False)}


def may_be_added(name: str, value: str) -> bool:
    """Tell whether a header can go on a request of ours: well-formed, and none of SIP's own."""
    return bool(_TOKEN.fullmatch(name)) and name.lower() not in _OURS and value.isprintable()
