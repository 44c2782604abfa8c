"""TLS both ways: our certificate, and whose we believe."""

from __future__ import annotations

import ssl

from bridges.sip.settings import SipSettings


def server_context(settings: SipSettings) -> ssl.SSLContext | None:
    """Return what the listener shows, or None where there is no certificate.

    Raises:
        OSError: a file cannot be read, or holds no certificate or no matching key.
    """
    if settings.sip_tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.sip_tls_cert, settings.sip_tls_key)
    return context


def client_context(settings: SipSettings) -> ssl.SSLContext:
    """Return how carriers are checked.

    Raises:
        OSError: the file of authorities cannot be read.
    """
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    if settings.sip_tls_ca is not None:
        context.load_verify_locations(settings.sip_tls_ca)
    if not settings.sip_tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
