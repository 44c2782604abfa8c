"""The TLS context for vendors."""

from __future__ import annotations

import ssl

from agent.vendor.tls import tls


def test_context_is_made_once_and_judges_certificates() -> None:
    assert tls() is tls()
    assert tls().verify_mode is ssl.CERT_REQUIRED
    assert tls().check_hostname
