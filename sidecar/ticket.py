"""Passes to a bot's stream that soon expire: what a URL carries instead of the bot's own token.

Pure: the secret and the time are passed in. A URL is seen by whoever keeps logs on its way.
"""

from __future__ import annotations

import base64
import hmac
import re
from datetime import datetime, timedelta
from hashlib import sha256

LIFETIME = timedelta(seconds=60)
"""A carrier connects within ten seconds, twice at most."""
_MAC_BYTES = 24
_TICKET = re.compile(r"vt1\.(?P<stamp>[0-9]{1,12})\.(?P<mac>[A-Za-z0-9_-]{32})")


def issue(secret: str, bot_id: str, expires_at: datetime) -> str:
    """Return a ticket to one bot's stream."""
    stamp = str(int(expires_at.timestamp()))
    return f"vt1.{stamp}.{_mac(secret, bot_id, stamp)}"


def holds(secret: str, ticket: str, bot_id: str, now: datetime) -> bool:
    """Return whether a ticket is ours, for this bot, and has not expired."""
    match = _TICKET.fullmatch(ticket)
    if match is None:
        return False
    expected = _mac(secret, bot_id, match["stamp"])
    return hmac.compare_digest(match["mac"], expected) and now.timestamp() <= int(match["stamp"])


def _mac(secret: str, bot_id: str, stamp: str) -> str:
    # The secret signs other things, too: none of them may ever read like a ticket.
    message = f"stream-ticket\n{stamp}\n{bot_id}".encode()
    digest = hmac.new(secret.encode(), message, sha256).digest()
    return base64.urlsafe_b64encode(digest[:_MAC_BYTES]).decode()
