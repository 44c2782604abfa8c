"""On what terms a call's media are: what its trunk, or its caller's, allows."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address

from bridges.sip.ipc import Incoming
from bridges.wire.media_plan import Capabilities, Codec, SrtpUse
from contracts.trunk import DialOrder

_SRTP = {"off": SrtpUse.NEVER, "allowed": SrtpUse.OPTIONAL, "required": SrtpUse.REQUIRED}


def capabilities_of(call: Incoming | DialOrder) -> Capabilities:
    """Return what may be agreed on."""
    terms = call.trunk if isinstance(call, DialOrder) else call
    codecs = tuple(Codec[name] for name in terms.codecs)
    return Capabilities(codecs=codecs, srtp=_SRTP[terms.srtp])


def signalled_from(call: Incoming | DialOrder) -> str:
    """Return the address that signalling comes from, "" where only a look-up would tell.

    Media are taken from there as well: behind a NAT, a phone names an address that nobody reaches.
    """
    if isinstance(call, Incoming):
        return call.peer_ip
    host = call.trunk.address.strip().removeprefix("[")
    for text in (host.partition("]")[0], host.rpartition(":")[0]):
        with suppress(ValueError):
            return str(ip_address(text))
    return ""
