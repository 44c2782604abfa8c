"""Somebody calls: whether they may, and which media process gets the call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from bridges.sip.ipc import Incoming
from bridges.sip.media_link import MediaLink
from bridges.sip.quota import Quota
from bridges.sip.trunk_book import Admitted, Challenged, Denied, TrunkBook
from bridges.wire.sip.digest import Credentials
from bridges.wire.sip.endpoint import Endpoint
from bridges.wire.sip.event import HeaderFields, Invited
from bridges.wire.sip.header import readable
from contracts.trunk import Trunk

log = structlog.get_logger(__name__)

RETRY_AFTER: HeaderFields = (("Retry-After", "5"),)
FALSE_PROOFS = 10.0
"""Wrong passwords in a row that one address may send; a further one each half minute."""
FALSE_PROOFS_PER_S = 1 / 30


@dataclass(frozen=True, slots=True)
class Refused:
    """Not this time: a status and why, for the log; a busy peer may come again."""

    status: int
    cause: str
    headers: HeaderFields = ()


@dataclass(frozen=True, slots=True)
class Seated:
    """Let in."""

    link: MediaLink
    trunk: Trunk | None


@dataclass(frozen=True, slots=True)
class Asked:
    """The endpoint has asked for credentials."""


class Reception:
    """Decides on calls that come in.

    Args:
        realm: what callers are asked credentials for.
        now: monotonic seconds.
    """

    def __init__(self, realm: str, now: Callable[[], float]) -> None:
        self._realm = realm
        self._now = now
        self._false_proofs = Quota(FALSE_PROOFS_PER_S, FALSE_PROOFS)

    def receive(
        self, invited: Invited, endpoint: Endpoint, book: TrunkBook, links: Iterable[MediaLink]
    ) -> Seated | Refused | Asked:
        """Decide on one call; what is not `Seated` is at an end, `Refused` is to be told."""
        peer = invited.flow.host
        match book.judge(peer, invited.request_uri.name, invited.username):
            case Admitted(trunk):
                pass
            case Challenged(trunk):
                claims = bool(invited.username)
                if claims and self._false_proofs.wait_s(peer, self._now()) > 0:
                    return Refused(403, "too_many_proofs")
                credentials = Credentials(trunk.inbound_username, trunk.inbound_password)
                if not endpoint.authenticate(invited.call, self._realm, credentials, self._now()):
                    if claims:
                        self._false_proofs.take(peer, self._now())
                        log.info("sip_proof_refused", peer_ip=peer, trunk_id=trunk.trunk_id)
                    return Asked()
            case Denied():
                return Refused(403, "unknown_peer")
        ready = [link for link in links if link.max_calls]
        if not ready:
            return Refused(503, "no_media_process", RETRY_AFTER)
        link = max(ready, key=lambda each: each.free)
        if not link.free:
            return Refused(486, "at_capacity", RETRY_AFTER)
        return Seated(link, trunk)


def incoming(invited: Invited, trunk: Trunk | None) -> Incoming:
    """Return what a media process is told of a call."""
    headers: dict[str, str] = {}
    for name, value in invited.headers:
        key = name.lower()
        if key.startswith("x-"):
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
    admitted = {} if trunk is None else {"codecs": trunk.codecs, "srtp": trunk.srtp}
    return Incoming(
        leg=invited.call,
        sip_call_id=invited.call_id,
        did=invited.request_uri.name,
        caller=invited.caller.uri.name,
        display_name=readable(invited.caller.display_name),
        headers=headers,
        sdp=None if invited.sdp is None else invited.sdp.decode("utf-8", "replace"),
        peer_ip=invited.flow.host,
        trunk_id=trunk.trunk_id if trunk else "",
        **admitted,
    )
