"""What LiveKit SIP is to know of our trunks: its trunks and dispatch rules, each marked as ours.

Pure. The mark is an object's name, `<owner>/<trunk id>`: by it an object is found again whose
making was never answered, and everything that does not bear it is somebody else's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from livekit import api

from contracts.ids import AGENT_NAME, SIP_JOB_METADATA
from contracts.trunk import Trunk
from sidecar.livekit_sip import seconds
from sidecar.rooms import DEPARTURE_TIMEOUT_S, EMPTY_TIMEOUT_S

ROOM_PREFIX = "call-"
CATCH_ALL = "catch-all"
"""What stands in the place of a trunk's id in the mark of the rule for calls that no trunk takes.

Without such a rule LiveKit SIP lets them ring for ever; with it an agent asks for their call, and
they are sent away.
"""

SipTrunk = api.SIPInboundTrunkInfo | api.SIPOutboundTrunkInfo
SipObject = SipTrunk | api.SIPDispatchRuleInfo

_TRANSPORTS = {
    "auto": api.SIPTransport.SIP_TRANSPORT_AUTO,
    "udp": api.SIPTransport.SIP_TRANSPORT_UDP,
    "tcp": api.SIPTransport.SIP_TRANSPORT_TCP,
    "tls": api.SIPTransport.SIP_TRANSPORT_TLS,
}
_ENCRYPTION = {
    "off": api.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_DISABLE,
    "allowed": api.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_ALLOW,
    "required": api.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_REQUIRE,
}
_ITS_OWN = frozenset(
    {"sipTrunkId", "sipDispatchRuleId", "createdAt", "updatedAt", "mediaEncryption"}
)
"""Fields that LiveKit fills in itself."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds every call of every trunk, should nobody of ours be left to end it."""

    ringing_s: float
    call_s: float


def mark(owner: str, trunk_id: str) -> str:
    """Return the name of the objects of one trunk."""
    return f"{owner}/{trunk_id}"


def marked_for(owner: str, item: SipObject) -> str | None:
    """Return which trunk an object is there for; None if it is not ours."""
    name, slash, trunk_id = item.name.partition("/")
    return trunk_id if slash and name == owner else None


def outbound(owner: str, trunk: Trunk) -> api.SIPOutboundTrunkInfo | None:
    """Return the trunk we dial by; None where there is nobody to dial, or no number to show."""
    if not (trunk.is_active and trunk.address and trunk.numbers):
        return None
    return api.SIPOutboundTrunkInfo(
        name=mark(owner, trunk.trunk_id),
        address=trunk.address,
        transport=_TRANSPORTS[trunk.transport],
        from_host=trunk.domain,
        numbers=trunk.numbers,
        auth_username=trunk.username,
        auth_password=trunk.password,
        headers=trunk.headers,
        include_headers=api.SIPHeaderOptions.SIP_X_HEADERS,
        media=_media(trunk),
    )


def inbound(
    owner: str, trunk: Trunk, answered: Iterable[str], limits: Limits
) -> api.SIPInboundTrunkInfo | None:
    """Return the trunk that lets calls in; None where nothing says which.

    Args:
        owner: whose mark it gets.
        trunk: ours.
        answered: the dialled numbers that are known to come by it, beside its own.
        limits: of every call.
    """
    dialled = sorted(set(map(_dialled, (*trunk.numbers, *answered))))
    has_peer = bool(trunk.inbound_username or trunk.inbound_addresses)
    if not trunk.is_active or not (dialled or has_peer):
        return None
    return api.SIPInboundTrunkInfo(
        name=mark(owner, trunk.trunk_id),
        numbers=dialled,
        allowed_addresses=trunk.inbound_addresses,
        auth_username=trunk.inbound_username,
        auth_password=trunk.inbound_password,
        include_headers=api.SIPHeaderOptions.SIP_X_HEADERS,
        ringing_timeout=seconds(limits.ringing_s),
        max_call_duration=seconds(limits.call_s),
        media=_media(trunk),
    )


def rule(owner: str, trunk: Trunk, inbound_id: str) -> api.SIPDispatchRuleInfo:
    """Return what becomes of the calls of one inbound trunk: a room each, and an agent in it."""
    made = _rule(mark(owner, trunk.trunk_id))
    made.trunk_ids.append(inbound_id)
    made.media.CopyFrom(_media(trunk))
    return made


def catch_all(owner: str) -> api.SIPDispatchRuleInfo:
    """Return what becomes of all other calls: the same, but nobody has a call for their agent."""
    return _rule(mark(owner, CATCH_ALL))


def sha256_of(wanted: Sequence[SipObject | None]) -> str:
    """Return a hash that changes whenever one of the objects does."""
    plain = [None if item is None else MessageToDict(item) for item in wanted]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def is_as_wanted(found: SipObject, wanted: SipObject) -> bool:
    """Return whether LiveKit has an object as we want it, whatever it noted beside."""
    return _told(found) == _told(wanted)


def _told(message: Message) -> dict[str, object]:
    told = {key: item for key, item in MessageToDict(message).items() if key not in _ITS_OWN}
    media = told.get("media")
    if isinstance(media, dict):
        # LiveKit writes out what is off, too, even where nothing was said of media at all.
        told["media"] = {key: item for key, item in media.items() if not _is_default(item)}
    return {key: item for key, item in told.items() if item}


def _is_default(value: object) -> bool:
    return value in (False, "", "SIP_MEDIA_ENCRYPT_DISABLE")


def _rule(name: str) -> api.SIPDispatchRuleInfo:
    # By the dialled number, not the caller's: rooms' names are logged.
    one_room_each = api.SIPDispatchRuleCallee(room_prefix=ROOM_PREFIX, randomize=True)
    return api.SIPDispatchRuleInfo(
        name=name,
        rule=api.SIPDispatchRule(dispatch_rule_callee=one_room_each),
        room_config=api.RoomConfiguration(
            empty_timeout=EMPTY_TIMEOUT_S,
            departure_timeout=DEPARTURE_TIMEOUT_S,
            agents=[api.RoomAgentDispatch(agent_name=AGENT_NAME, metadata=SIP_JOB_METADATA)],
        ),
    )


def _media(trunk: Trunk) -> api.SIPMediaConfig:
    return api.SIPMediaConfig(
        only_listed_codecs=True,
        codecs=[api.SIPCodec(name=name, rate=8000) for name in trunk.codecs],
        encryption=_ENCRYPTION[trunk.srtp],
    )


def _dialled(number: str) -> str:
    """Return a number as LiveKit compares it, which is with a plus."""
    return f"+{number}" if number.isdecimal() else number
