"""What LiveKit's server tells of its rooms by itself, once its signature has been checked."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.json_format import ParseError
from livekit import api

from sidecar.denial import Code, Denied

_LOST = {
    api.DisconnectReason.CONNECTION_TIMEOUT,
    api.DisconnectReason.SIGNAL_CLOSE,
    api.DisconnectReason.MEDIA_FAILURE,
    api.DisconnectReason.STATE_MISMATCH,
}
"""Reasons for which somebody leaves without anybody's wish; all others follow from an end."""


@dataclass(frozen=True, slots=True)
class RoomFinished:
    """A room is no more."""

    room_name: str


@dataclass(frozen=True, slots=True)
class ParticipantLost:
    """A participant is gone that nobody sent away and that did not say goodbye."""

    room_name: str
    identity: str
    reason: str


RoomNews = RoomFinished | ParticipantLost


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
                reason = event.participant.disconnect_reason
                if reason not in _LOST:
                    return None
                name = api.DisconnectReason.Name(reason)
                return ParticipantLost(event.room.name, event.participant.identity, name)
        return None
