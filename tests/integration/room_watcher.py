"""Somebody in a room who speaks and sees what becomes of its phones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from livekit import api, rtc

from contracts.ids import SIP_CALL_STATUS

RATE_HZ = 8000
_CODES = {digit: code for code, digit in enumerate("0123456789*#ABCD")}


class RoomWatcher:
    """An agent's participant.

    Attributes:
        statuses: each `sip.callStatus` that was seen, with repeats left out.
        left: reasons of leaving, by identity.
        digits: keys that were pressed, in order.
        attributes: the phone's attributes, as last seen.
        is_out: set once it is itself out of the room.
    """

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.statuses: list[str] = []
        self.left: dict[str, int] = {}
        self.digits = ""
        self.attributes: dict[str, str] = {}
        self.is_out = asyncio.Event()
        self._changed = asyncio.Condition()
        self._source = rtc.AudioSource(RATE_HZ, 1)
        self._tasks: set[asyncio.Task[None]] = set()
        on: Any = self.room.on
        on("participant_connected", self._see)
        on("participant_attributes_changed", lambda _, who: self._see(who))
        on("participant_disconnected", self._see_off)
        on("sip_dtmf_received", self._hear)
        on("disconnected", lambda _: self.is_out.set())

    async def speak(self) -> None:
        """Publish a track, which is what answers a phone that called in."""
        track = rtc.LocalAudioTrack.create_audio_track("bot", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self.room.local_participant.publish_track(track, options)

    async def press(self, digits: str) -> None:
        """Press keys for the phone."""
        for digit in digits:
            await self.room.local_participant.publish_dtmf(code=_CODES[digit], digit=digit)

    async def saw(self, what: Callable[[RoomWatcher], bool], timeout_s: float = 10.0) -> None:
        """Wait until what was seen so far is as told."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: what(self))

    async def saw_leave(self, identity: str) -> int:
        """Wait until somebody has left, and return the reason."""
        await self.saw(lambda watcher: identity in watcher.left)
        return self.left[identity]

    def see_all(self) -> None:
        """Look at who is there already."""
        for who in self.room.remote_participants.values():
            self._see(who)

    def _see(self, who: rtc.Participant) -> None:
        if who.kind != rtc.ParticipantKind.PARTICIPANT_KIND_SIP:
            return
        self.attributes = dict(who.attributes)
        status = who.attributes.get(SIP_CALL_STATUS, "")
        if status and self.statuses[-1:] != [status]:
            self.statuses.append(status)
        self._notify()

    def _see_off(self, who: rtc.RemoteParticipant) -> None:
        self.left[who.identity] = who.disconnect_reason or 0
        self._notify()

    def _hear(self, digit: rtc.SipDTMF) -> None:
        self.digits += digit.digit
        self._notify()

    def _notify(self) -> None:
        async def notify() -> None:
            async with self._changed:
                self._changed.notify_all()

        task = asyncio.create_task(notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@asynccontextmanager
async def watching(
    url: str, key: str, secret: str, room_name: str, *, speaks: bool = False
) -> AsyncIterator[RoomWatcher]:
    """Be in a room until the block ends."""
    grants = api.VideoGrants(room_join=True, room=room_name)
    token = api.AccessToken(key, secret).with_identity("watcher").with_kind("agent")
    watcher = RoomWatcher()
    await watcher.room.connect(url, token.with_grants(grants).to_jwt())
    watcher.see_all()
    try:
        if speaks:
            await watcher.speak()
        yield watcher
    finally:
        await watcher.room.disconnect()
        await watcher._source.aclose()
