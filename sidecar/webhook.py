"""What LiveKit's server tells of its rooms by itself, once its signature has been checked."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.json_format import ParseError
from livekit import api

from sidecar.denial import Code, Denied
from sidecar.sip_caller import SipCaller, caller_of

SIP_ROOM_PREFIX = "call-"
"""How rooms are called that rules make for phones, by the family's contract."""
_STANDARD = api.ParticipantInfo.Kind.STANDARD


@dataclass(frozen=True, slots=True)
class RoomFinished:
    """A room is no more."""

    room_name: str


@dataclass(frozen=True, slots=True)
class ParticipantLeft:
    """A participant is gone; `reason` is LiveKit's word (`CLIENT_INITIATED` …)."""

    room_name: str
    identity: str
    reason: str


@dataclass(frozen=True, slots=True)
class PhoneJoined:
    """A rule has put a phone into its room."""

    caller: SipCaller


@dataclass(frozen=True, slots=True)
class PersonJoined:
    """Somebody has joined who is neither an agent nor a phone: a browser, or a bridge of ours."""

    room_name: str
    identity: str


RoomNews = RoomFinished | ParticipantLeft | PhoneJoined | PersonJoined


class WebhookReader:
    """Reads webhooks signed with one API key."""

    def __init__(self, api_key: str, api_secret: str) -> None:
        self._receiver = api.WebhookReceiver(api.TokenVerifier(api_key, api_secret))

    def read(self, body: bytes, authorization: str) -> RoomNews | None:
        """Return what happened; None where it is no concern of ours.

        Args:
            body: as it came, byte for byte.
            authorization: the header's value, `Bearer` or bare.

        Raises:
            Denied: nobody signed it, or it is not what was signed.
        """
        token = authorization.removeprefix("Bearer ").strip()
        if not token:
            raise Denied(Code.UNAUTHORISED, "Missing auth")
        try:
            event = self._receiver.receive(body.decode(), token)
        except ParseError as error:
            raise Denied(Code.BODY_INVALID, "not a webhook of LiveKit's") from error
        except Exception as error:
            # The library has no exception of its own for a hash that is not the body's.
            raise Denied(Code.UNAUTHORISED, "Invalid signature") from error
        match event.event:
            case "room_finished":
                return RoomFinished(event.room.name)
            case "participant_left" | "participant_connection_aborted":
                name = _word(event.participant.disconnect_reason)
                return ParticipantLeft(event.room.name, event.participant.identity, name)
            case "participant_joined" if _is_phone_of_a_rule(event):
                who = event.participant
                caller = caller_of(event.room.name, who.identity, dict(who.attributes))
                return PhoneJoined(caller)
            # By its kind, which its token says: attributes are the participant's own words.
            case "participant_joined" if event.participant.kind == _STANDARD:
                return PersonJoined(event.room.name, event.participant.identity)
        return None


def _is_phone_of_a_rule(event: api.WebhookEvent) -> bool:
    is_phone = event.participant.kind == api.ParticipantInfo.Kind.SIP
    return is_phone and str(event.room.name).startswith(SIP_ROOM_PREFIX)


def _word(reason: int) -> str:
    try:
        return api.DisconnectReason.Name(reason)
    except ValueError:
        # A server newer than this library.
        return "UNKNOWN_REASON"
