"""Where a URL leads, without what it asks for there."""

from __future__ import annotations

import httpx


def origin_of(url: str) -> str:
    """Return `scheme://host[:port]` of a URL, without a port that is the scheme's own.

    "" where it has none or cannot be read: a tenant's mistake must not keep a call from ending.
    """
    try:
        parsed = httpx.URL(url)
        origin = f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"
    except (httpx.InvalidURL, ValueError, TypeError):
        return ""
    return origin if parsed.scheme and parsed.host else ""
