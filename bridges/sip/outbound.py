"""What an order to dial, or a trunk, means on the wire: pure functions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bridges.sip.ipc import Dial
from bridges.wire.sip.digest import Credentials
from bridges.wire.sip.error import ProtocolError
from bridges.wire.sip.event import HeaderFields
from bridges.wire.sip.flow import Destination, Transport
from bridges.wire.sip.uri import Uri, escape_user
from contracts.sip_header import may_be_added
from contracts.trunk import Trunk

TLS_PORT = 5061

_PHONE_NUMBER = re.compile(r"\+?[0-9]{2,32}")


class Undiallable(Exception):
    """The order cannot be put into a SIP request; the text says why and holds no number."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """An INVITE's addresses: what `Endpoint.invite` takes."""

    to: Uri
    caller: Uri
    destination: Destination
    credentials: Credentials | None
    headers: HeaderFields


def destination_of(trunk: Trunk) -> Destination:
    """Return where a trunk's requests go.

    `auto` is UDP, unless the address names a transport (`;transport=tcp`) or TLS's port.

    Raises:
        Undiallable: it has no address, or one that is none.
    """
    uri = _address(trunk)
    transport = _transport(trunk, uri)
    host = uri.host.strip("[]")
    port = uri.port or transport.default_port
    return Destination(transport, host, port)


def invitation(dial: Dial, domain: str) -> Invitation:
    """Return what to send for an order.

    Args:
        domain: the host of From where the trunk names none.

    Raises:
        Undiallable: the number or the trunk's address cannot be written as a URI.
    """
    address = _address(dial.trunk)
    if not dial.to_number:
        raise Undiallable("there is no number to call")
    headers = {**dial.trunk.headers, **dial.headers}
    return Invitation(
        to=phone_uri(dial.to_number, address.host, address.port),
        caller=phone_uri(dial.from_number or "anonymous", dial.trunk.domain or domain),
        destination=destination_of(dial.trunk),
        credentials=credentials_of(dial.trunk),
        headers=tuple(
            (name, value) for name, value in headers.items() if may_be_added(name, value)
        ),
    )


def credentials_of(trunk: Trunk) -> Credentials | None:
    """Return what a trunk's carrier asks for, None where it has no name for us."""
    return Credentials(trunk.username, trunk.password) if trunk.username else None


def address_of_record(trunk: Trunk) -> Uri:
    """Return what we register as with a trunk's PBX.

    Raises:
        Undiallable: it has no address or domain, or one that is none.
    """
    host = _bracketed(trunk.domain) if trunk.domain else _address(trunk).host
    return _checked(Uri("sip", host, user=escape_user(trunk.username)))


def referral(target: str, host: str) -> Uri:
    """Return whom a far end is to call: a `sip:`, `sips:` or `tel:` URI, or a number at `host`.

    Raises:
        Undiallable: it is none of these.
    """
    target = target.strip()
    if not target:
        raise Undiallable("there is nobody to transfer to")
    if re.match(r"(?i)(sips?|tel):", target):
        try:
            return Uri.parse(target)
        except ProtocolError as error:
            raise Undiallable(error.reason) from error
    return phone_uri(target, host)


def phone_uri(user: str, host: str, port: int | None = None) -> Uri:
    """Return the URI of a number (RFC 3261 section 19.1.6) or of another user at a host.

    Raises:
        Undiallable: the host is none.
    """
    params = (("user", "phone"),) if _PHONE_NUMBER.fullmatch(user) else ()
    return _checked(Uri("sip", _bracketed(host), port, user=escape_user(user), params=params))


def _checked(uri: Uri) -> Uri:
    """Return a URI made of settings, if it can be read again: no part of it becomes another."""
    try:
        return Uri.parse(uri.serialize())
    except ProtocolError as error:
        raise Undiallable("the domain is none") from error


def _bracketed(host: str) -> str:
    """Return a host as a URI has it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _address(trunk: Trunk) -> Uri:
    text = trunk.address.strip()
    if not text:
        raise Undiallable("the trunk has no address")
    if not text.lower().startswith(("sip:", "sips:")):
        text = f"sip:{text}"
    try:
        return Uri.parse(text)
    except ProtocolError as error:
        raise Undiallable("the trunk's address is none") from error


def _transport(trunk: Trunk, uri: Uri) -> Transport:
    if trunk.transport != "auto":
        return Transport(trunk.transport)
    if uri.scheme == "sips" or uri.port == TLS_PORT:
        return Transport.TLS
    try:
        return Transport((uri.param("transport") or "udp").lower())
    except ValueError:
        raise Undiallable("the trunk's transport is none of ours") from None
