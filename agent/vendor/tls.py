"""The process's TLS context for vendors."""

from __future__ import annotations

import ssl
from functools import cache


@cache
def tls() -> ssl.SSLContext:
    """Return the process's TLS context: made once, in the forkserver, instead of in each call."""
    return ssl.create_default_context()
