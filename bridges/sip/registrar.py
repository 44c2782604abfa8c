"""Our registrations with PBXs: one for each trunk that wants it, kept in step with the trunks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from bridges.sip.outbound import (
    Undiallable,
    address_of_record,
    credentials_of,
    destination_of,
)
from bridges.wire.sip.endpoint import Endpoint
from bridges.wire.sip.event import (
    Registered,
    RegistrationEvent,
    RegistrationFailed,
    RegistrationHandle,
    Unregistered,
)
from contracts.trunk import Trunk

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Registration:
    trunk: Trunk
    handle: RegistrationHandle
    state: str = field(default="pending")


class Registrar:
    """All registrations. The endpoint refreshes them and tries again; flush it after each call."""

    def __init__(self, endpoint: Endpoint, now: Callable[[], float]) -> None:
        self._endpoint = endpoint
        self._now = now
        self._registrations: dict[str, _Registration] = {}
        self._leaving: set[RegistrationHandle] = set()

    @property
    def states(self) -> dict[str, str]:
        """`pending`, `registered` or the status of the last failure, by trunk."""
        return {trunk_id: each.state for trunk_id, each in self._registrations.items()}

    @property
    def is_settled(self) -> bool:
        """Whether nothing that was taken back is still unanswered."""
        return not self._leaving

    def keep(self, trunks: Sequence[Trunk]) -> None:
        """Register what is new or changed, and take back what is gone."""
        wanted = {trunk.trunk_id: trunk for trunk in trunks if trunk.register_expires_s}
        for trunk_id, registration in list(self._registrations.items()):
            trunk = wanted.get(trunk_id)
            if trunk is None or _identity(trunk) != _identity(registration.trunk):
                del self._registrations[trunk_id]
                self._leaving.add(registration.handle)
                self._endpoint.unregister(registration.handle, self._now())
        for trunk_id, trunk in wanted.items():
            if trunk_id not in self._registrations:
                self._register(trunk)

    def event_happened(self, event: RegistrationEvent) -> None:
        """Take note of how a registration fares."""
        if isinstance(event, Unregistered):
            self._leaving.discard(event.registration)
            return
        found = [each for each in self._registrations.values() if each.handle == event.registration]
        if not found:
            return
        (registration,) = found
        trunk_id = registration.trunk.trunk_id
        match event:
            case Registered(expires_s=expires_s):
                if registration.state != "registered":
                    log.info("sip_registered", trunk_id=trunk_id, expires_s=expires_s)
                registration.state = "registered"
            case RegistrationFailed(status=status, retry_in_s=retry_in_s):
                registration.state = str(status)
                log.warning(
                    "sip_registration_failed",
                    trunk_id=trunk_id,
                    status=status,
                    retry_in_s=retry_in_s,
                )

    def _register(self, trunk: Trunk) -> None:
        # Where the PBX sends calls is our Contact: the number they are for, if there is one.
        user = trunk.numbers[0] if trunk.numbers else trunk.username
        try:
            handle = self._endpoint.register(
                address_of_record(trunk),
                destination_of(trunk),
                credentials_of(trunk),
                self._now(),
                expires_s=trunk.register_expires_s,
                contact_user=user,
            )
        except Undiallable as error:
            log.error("sip_registration_impossible", trunk_id=trunk.trunk_id, detail=str(error))
            return
        self._registrations[trunk.trunk_id] = _Registration(trunk, handle)


def _identity(trunk: Trunk) -> tuple[object, ...]:
    """Return what a registration is made of: a change of it needs another one."""
    return (
        trunk.address,
        trunk.transport,
        trunk.domain,
        trunk.username,
        trunk.password,
        trunk.register_expires_s,
        trunk.numbers[:1],
    )
