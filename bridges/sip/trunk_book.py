"""Who may call in, and by which trunk: a pure function of the trunks and a peer's address."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from bridges.sip.settings import Network
from contracts.trunk import Trunk

# A request within a call, or a response: what may come from an address that nobody knows, since a
# carrier's calls move between its nodes. Folded header lines are not worth the exception.
_RESPONSE = b"SIP/2.0 "
_WITHIN_A_CALL = re.compile(rb"\n(?:to|t)[ \t]*:[^\r\n]*;[ \t]*tag[ \t]*=", re.IGNORECASE)
_HEAD_BYTES = 16 * 1024
MAX_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Admitted:
    """Let in; without a trunk where the setting for peers admits it."""

    trunk: Trunk | None


@dataclass(frozen=True, slots=True)
class Challenged:
    """Let in if it proves to know the trunk's inbound credentials."""

    trunk: Trunk


@dataclass(frozen=True, slots=True)
class Denied:
    """Not let in."""


Verdict = Admitted | Challenged | Denied


class TrunkBook:
    """The trunks in force.

    A trunk that lists addresses admits these, and asks them for credentials too where it has any.
    One that only has credentials asks everybody. One that registers with a PBX and lists neither
    admits the PBX.

    Args:
        allowed: networks that need no trunk.
        trunks: the trunks.
        registrars: addresses of the PBXs that trunks register with, by trunk.
    """

    def __init__(
        self,
        allowed: Sequence[Network],
        trunks: Sequence[Trunk] = (),
        registrars: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.trunks = tuple(trunk for trunk in trunks if trunk.is_active)
        self._allowed = tuple(allowed)
        self._networks = [
            (network, trunk)
            for trunk in self.trunks
            for network in _networks(trunk, (registrars or {}).get(trunk.trunk_id, ()))
        ]
        self._known: dict[str, bool] = {}  # asked for every message
        self._by_credentials = [
            trunk
            for trunk in self.trunks
            if not trunk.inbound_addresses and trunk.inbound_username and trunk.inbound_password
        ]

    def trunk(self, trunk_id: str) -> Trunk | None:
        """Return a trunk by its id."""
        return next((trunk for trunk in self.trunks if trunk.trunk_id == trunk_id), None)

    def knows(self, host: str) -> bool:
        """Tell whether a peer at this address may call in, credentials aside."""
        known = self._known.get(host)
        if known is None:
            address = _address(host)
            known = any(address in network for network in self._allowed) or any(
                address in network for network, _ in self._networks
            )
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            self._known[host] = known
        return known

    def lets_in(self, data: bytes, host: str) -> bool:
        """Tell whether a message is worth reading: else it is as if nobody listened here."""
        if self._by_credentials or self.knows(host):
            return True
        return data.startswith(_RESPONSE) or bool(_WITHIN_A_CALL.search(data, 0, _HEAD_BYTES))

    def judge(self, host: str, number: str, username: str) -> Verdict:
        """Decide on a call.

        Args:
            host: the peer's address.
            number: what it dials; decides between trunks of one carrier.
            username: whom its credentials claim it to be, `""` without any.
        """
        address = _address(host)
        found = [(network, trunk) for network, trunk in self._networks if address in network]
        if found:
            _, trunk = max(found, key=lambda each: (number in each[1].numbers, each[0].prefixlen))
            if not trunk.inbound_username:
                return Admitted(trunk)
            return Challenged(trunk) if trunk.inbound_password else Denied()
        named = [t for t in self._by_credentials if username and t.inbound_username == username]
        if named:
            return Challenged(named[0])
        if any(address in network for network in self._allowed):
            return Admitted(None)
        return Challenged(self._by_credentials[0]) if self._by_credentials else Denied()


def _networks(trunk: Trunk, registrar: Sequence[str]) -> list[Network]:
    if trunk.inbound_addresses:
        return [ip_network(each, strict=False) for each in trunk.inbound_addresses]
    if trunk.register_expires_s and not trunk.inbound_username:
        return [ip_network(each) for each in registrar]
    return []


def _address(host: str) -> IPv4Address | IPv6Address:
    """Return a peer's address; IPv4 on an IPv6 socket is IPv4."""
    address = ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
