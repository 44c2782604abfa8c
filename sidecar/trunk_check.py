"""Whether a trunk can be used: asked at each save, so that a mistake is told now, not by a call."""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError

from contracts.trunk import Trunk
from sidecar import callee
from sidecar.denial import Code, Denied
from sidecar.egress import EgressGuard, EgressRefused
from sidecar.fault import fault, faults_of
from sidecar.vault import SecretMissing, Vault

SIP_PORT = 5060
_ADDRESS = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?))"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<transport>;transport=(?:udp|tcp|tls))?"
)
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PLAIN = ("name", "service", "username", "password", "inbound_username", "inbound_password")


class TrunkCheck:
    """Judges trunks: well-formed, secrets there, address allowed."""

    def __init__(self, guard: EgressGuard, vault: Vault) -> None:
        """
        Args:
            guard: where carriers may be. A name is resolved here and again by whoever dials, so
                against an owner of names who answers each differently only the network can help.
            vault: where referenced secrets are.
        """
        self._guard = guard
        self._vault = vault

    async def require(self, tenant_id: str, config: dict[str, Any]) -> Trunk:
        """Return the trunk of a tenant's that a JSON object describes.

        Raises:
            Denied: it cannot be used; the details name each field.
        """
        try:
            trunk = Trunk.model_validate(config)
        except ValidationError as error:
            raise _unfit(*faults_of(error)) from error
        faults = _faults(trunk)
        try:
            self._vault.trunk(tenant_id, trunk)
        except SecretMissing as missing:
            faults.append(fault("password", str(missing)))
        if not faults and trunk.address:
            try:
                await self._guard.addresses(*_target_of(trunk.address))
            except EgressRefused as refused:
                faults.append(fault("address", str(refused)))
        if faults:
            raise _unfit(*faults)
        return trunk


def _target_of(address: str) -> tuple[str, int]:
    """Return the host and the port of a well-formed address."""
    match = _ADDRESS.fullmatch(address)
    assert match is not None
    return match["v6"] or match["host"], int(match["port"] or SIP_PORT)


def _faults(trunk: Trunk) -> list[dict[str, Any]]:
    faults = []
    if trunk.trunk_id and not _ID.fullmatch(trunk.trunk_id):
        faults.append(fault("trunk_id", "1-64 letters, digits, dashes and underscores"))
    match = _ADDRESS.fullmatch(trunk.address)
    if trunk.address and (match is None or int(match["port"] or SIP_PORT) > 65_535):
        faults.append(fault("address", "not `host`, `host:port` or `[IPv6]:port`"))
    elif match is not None and match["transport"] and trunk.kind == "managed":
        faults.append(fault("address", "say `transport` beside it, not in it"))
    if trunk.domain and not _HOST.fullmatch(trunk.domain):
        faults.append(fault("domain", "not a host's name"))
    for name in _PLAIN:
        if not str(getattr(trunk, name)).isprintable():
            faults.append(fault(name, "has characters that cannot be sent"))
    if not all(map(_is_showable, trunk.numbers)):
        faults.append(fault("numbers", "not all are phone numbers or SIP user names"))
    return faults


def _is_showable(number: str) -> bool:
    try:
        callee.normal(number)
    except callee.NotCallable:
        return False
    return True


def _unfit(*faults: Any) -> Denied:
    return Denied(Code.BODY_INVALID, "the trunk cannot be used", details={"errors": [*faults]})
