"""LiveKit's SIP service behind our own words: its objects, its calls, how it fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from google.protobuf.duration_pb2 import Duration
from livekit import api

from contracts.ids import SIP_CALL_STATUS
from sidecar.livekit_api import Failure, LiveKitApi

DIAL_MARGIN_S = 10.0
"""What a dial or transfer may take beyond its ringing; LiveKit itself gives up after 80 s."""


class SipError(Exception):
    """It did not come about.

    Attributes:
        code: LiveKit's own word (`canceled`, `unavailable` …), or what kept it from answering.
        sip_status_code: the carrier's final answer, where there was one.
        text: what was said beside, for a person.
    """

    def __init__(self, code: str, text: str = "", sip_status_code: int | None = None) -> None:
        said = f"{sip_status_code} {text}".strip() if sip_status_code else text
        super().__init__(said or code)
        self.code = code
        self.text = text
        self.sip_status_code = sip_status_code


class SipUnavailable(SipError):
    """Nobody answered, or LiveKit has no SIP service: trying again later may help."""


class SipRefused(SipError):
    """LiveKit, or the carrier behind it, understood and said no."""


@dataclass(frozen=True, slots=True)
class SipObjects:
    """Everything LiveKit SIP has been told, whoever told it."""

    inbound: list[api.SIPInboundTrunkInfo] = field(default_factory=list)
    outbound: list[api.SIPOutboundTrunkInfo] = field(default_factory=list)
    rules: list[api.SIPDispatchRuleInfo] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class SipDial:
    """A phone that is to be brought into a room.

    Attributes:
        trunk_id: LiveKit's name of the outbound trunk.
        identity: the phone's in the room.
        max_duration_s: after it the line is dropped, whoever is still there; ringing counts.
    """

    trunk_id: str
    to_number: str
    from_number: str
    room_name: str
    identity: str
    ringing_timeout_s: float
    max_duration_s: float


class LiveKitSip(Protocol):
    """What the control plane needs of LiveKit SIP. Every method may raise a `SipError`."""

    async def objects(self) -> SipObjects:
        """Return every trunk and rule there is."""

    async def save_inbound(self, wanted: api.SIPInboundTrunkInfo, trunk_id: str) -> str:
        """Make a trunk (`trunk_id` is "") or replace it; return LiveKit's name of it."""

    async def save_outbound(self, wanted: api.SIPOutboundTrunkInfo, trunk_id: str) -> str:
        """Make a trunk (`trunk_id` is "") or replace it; return LiveKit's name of it."""

    async def save_rule(self, wanted: api.SIPDispatchRuleInfo, rule_id: str) -> str:
        """Make a rule (`rule_id` is "") or replace it; return LiveKit's name of it."""

    async def delete_trunk(self, trunk_id: str) -> None:
        """Delete a trunk of either kind. One that is gone already is fine."""

    async def delete_rule(self, rule_id: str) -> None:
        """Delete a rule. One that is gone already is fine."""

    async def dial(self, dial: SipDial) -> None:
        """Call a phone into a room; return once it is answered."""

    async def transfer(self, room_name: str, identity: str, to: str, timeout_s: float) -> None:
        """Ask a phone's carrier to put it through to a `sip:` or `tel:` URI (REFER).

        Return on the carrier's word that it has, *or once the phone has hung up meanwhile*: the
        service does not tell these apart.
        """

    async def call_status(self, room_name: str, identity: str) -> str | None:
        """Return how a phone's call stands (`dialing`, `ringing`, `active`, `hangup`).

        None if nobody of that name is in the room; "" for somebody who is no phone.
        """


class SipService:
    """`LiveKitSip` on a LiveKit server. Close it with `aclose`."""

    def __init__(self, url: str, api_key: str, api_secret: str) -> None:
        self._livekit = LiveKitApi(url, api_key, api_secret, _error)

    async def objects(self) -> SipObjects:
        with self._livekit.asked() as livekit:
            sip = livekit.sip
            inbound = await sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())
            outbound = await sip.list_outbound_trunk(api.ListSIPOutboundTrunkRequest())
            rules = await sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest())
        return SipObjects(list(inbound.items), list(outbound.items), list(rules.items))

    async def save_inbound(self, wanted: api.SIPInboundTrunkInfo, trunk_id: str) -> str:
        with self._livekit.asked() as livekit:
            if trunk_id:
                saved = await livekit.sip.update_inbound_trunk(trunk_id, wanted)
            else:
                new = api.CreateSIPInboundTrunkRequest(trunk=wanted)
                saved = await livekit.sip.create_inbound_trunk(new)
        return saved.sip_trunk_id

    async def save_outbound(self, wanted: api.SIPOutboundTrunkInfo, trunk_id: str) -> str:
        with self._livekit.asked() as livekit:
            if trunk_id:
                saved = await livekit.sip.update_outbound_trunk(trunk_id, wanted)
            else:
                new = api.CreateSIPOutboundTrunkRequest(trunk=wanted)
                saved = await livekit.sip.create_outbound_trunk(new)
        return saved.sip_trunk_id

    async def save_rule(self, wanted: api.SIPDispatchRuleInfo, rule_id: str) -> str:
        with self._livekit.asked() as livekit:
            if rule_id:
                saved = await livekit.sip.update_dispatch_rule(rule_id, wanted)
            else:
                new = api.CreateSIPDispatchRuleRequest(dispatch_rule=wanted)
                saved = await livekit.sip.create_dispatch_rule(new)
        return saved.sip_dispatch_rule_id

    async def delete_trunk(self, trunk_id: str) -> None:
        with self._livekit.asked(is_fine_if_gone=True) as livekit:
            await livekit.sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=trunk_id))

    async def delete_rule(self, rule_id: str) -> None:
        request = api.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=rule_id)
        with self._livekit.asked(is_fine_if_gone=True) as livekit:
            await livekit.sip.delete_dispatch_rule(request)

    async def dial(self, dial: SipDial) -> None:
        request = api.CreateSIPParticipantRequest(
            sip_trunk_id=dial.trunk_id,
            sip_call_to=dial.to_number,
            sip_number=dial.from_number,
            room_name=dial.room_name,
            participant_identity=dial.identity,
            # Without one its name would be its number.
            participant_name=dial.identity,
            include_headers=api.SIPHeaderOptions.SIP_X_HEADERS,
            ringing_timeout=seconds(dial.ringing_timeout_s),
            max_call_duration=seconds(dial.max_duration_s),
            wait_until_answered=True,
        )
        timeout_s = dial.ringing_timeout_s + DIAL_MARGIN_S
        with self._livekit.asked() as livekit:
            await livekit.sip.create_sip_participant(request, timeout=timeout_s)

    async def transfer(self, room_name: str, identity: str, to: str, timeout_s: float) -> None:
        request = api.TransferSIPParticipantRequest(
            room_name=room_name,
            participant_identity=identity,
            transfer_to=to,
            ringing_timeout=seconds(timeout_s),
        )
        with self._livekit.asked() as livekit:
            answer = await livekit.sip.transfer_sip_participant(
                request, timeout=timeout_s + DIAL_MARGIN_S
            )
        if answer.status == api.SIPTransferStatus.STS_TRANSFER_FAILED:
            raise SipRefused(
                api.SIPTransferReason.Name(answer.reason),
                answer.sip_status.status,
                answer.sip_status.code or None,
            )

    async def call_status(self, room_name: str, identity: str) -> str | None:
        who = api.RoomParticipantIdentity(room=room_name, identity=identity)
        try:
            with self._livekit.asked() as livekit:
                found = await livekit.room.get_participant(who)
        except SipRefused as refused:
            if refused.code == api.TwirpErrorCode.NOT_FOUND:
                return None
            raise
        return found.attributes.get(SIP_CALL_STATUS, "")

    async def aclose(self) -> None:
        """Close the connections, if any were opened."""
        await self._livekit.aclose()


def seconds(value: float) -> Duration:
    """Return a time span as LiveKit takes it; it knows whole seconds only."""
    return Duration(seconds=round(value))


def _error(failure: Failure) -> SipError:
    kind = SipUnavailable if failure.is_temporary else SipRefused
    return kind(failure.code, failure.text, failure.sip_status_code)
