"""Who the caller is among those in the room: the one participant that a call listens to."""

from __future__ import annotations

from livekit import rtc


class Caller:
    """The caller's place in a room.

    Their name is in the plan. It is not in a room that somebody else has made for a visitor whom
    nobody announced: there the first person to be in it is the caller, and stays it.

    Attributes:
        identity: their name; "" while nobody has come.
    """

    def __init__(self, room: rtc.Room, identity: str) -> None:
        self.identity = identity
        self._room = room
        if not identity:
            room.on("participant_connected", self._meet)
            for who in list(room.remote_participants.values()):
                self._meet(who)

    @property
    def participant(self) -> rtc.RemoteParticipant | None:
        """The caller, if they are in the room."""
        return self._room.remote_participants.get(self.identity) if self.identity else None

    def is_(self, who: rtc.Participant | None) -> bool:
        """Return whether a participant is the caller."""
        return who is not None and bool(self.identity) and who.identity == self.identity

    def _meet(self, who: rtc.RemoteParticipant) -> None:
        if not self.identity and who.kind == rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD:
            self.identity = who.identity
