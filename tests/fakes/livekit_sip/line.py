"""One phone's leg as LiveKit SIP has it in a room: attributes, tracks, keys, ways of ending."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

from livekit import api, rtc

from contracts.ids import SIP_CALL_STATUS
from tests.fakes.livekit_sip.behaviour import RefersTo
from tests.fakes.livekit_sip.failure import Failure, refused

RATE_HZ = 8000
FRAME_MS = 20
_FRAME_BYTES = RATE_HZ * FRAME_MS // 1000 * 2
TOLD_S = 0.2
REFER_BYE_S = 1.0
"""How long the service waits for the phone to hang up after its transfer."""
_CODES = {digit: code for code, digit in enumerate("0123456789*#ABCD")}


class Line:
    """A phone in a room.

    Attributes:
        identity: its name there.
        room_name: where it is.
        digits: the keys the room pressed for it, in order.
        ended: set once it is hung up, by whomever.
        ended_by: `phone`, `service` or `room`.
        refers: what becomes of a REFER.
        refer_s: how long that takes.
        referred_to: where it was last referred to.
        is_held: it holds the line. The room does not get to see that.
    """

    def __init__(self, identity: str, room_name: str) -> None:
        self.identity = identity
        self.room_name = room_name
        self.call_id = f"SCL_{uuid4().hex[:12]}"
        self.digits = ""
        self.ended = asyncio.Event()
        self.ended_by = ""
        self.is_active = False
        self.is_held = False
        self.refers = RefersTo.SUCCESS
        self.refer_s = 0.1
        self.referred_to = ""
        self._room = rtc.Room()
        self._source = rtc.AudioSource(RATE_HZ, 1, queue_size_ms=200)
        self._heard = bytearray()
        self._hears = asyncio.Event()
        self._pressed = asyncio.Event()
        self._to_say: asyncio.Queue[bytes] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._leaving: asyncio.Task[None] | None = None

    async def join(
        self,
        url: str,
        key: str,
        secret: str,
        attributes: Mapping[str, str],
        *,
        name: str = "",
        room_config: api.RoomConfiguration | None = None,
        metadata: str = "",
    ) -> None:
        """Come into the room, not answered yet, with a track that is silent."""
        grants = api.VideoGrants(room_join=True, room=self.room_name, can_update_own_metadata=True)
        token = (
            api.AccessToken(key, secret)
            .with_identity(self.identity)
            .with_name(name or self.identity)
            .with_kind("sip")
            .with_grants(grants)
            .with_metadata(metadata)
            .with_attributes({"sip.callID": self.call_id, **attributes})
            .with_ttl(timedelta(minutes=5))
        )
        if room_config is not None:
            token = token.with_room_config(room_config)
        room = self._room
        room.on("track_subscribed", self._on_track)
        room.on("sip_dtmf_received", self._on_digit)
        room.on("disconnected", lambda _: self._end("room"))
        await room.connect(url, token.to_jwt())
        room.local_participant.register_rpc_method("lk.sip.EndCall", self._on_end_call)
        track = rtc.LocalAudioTrack.create_audio_track(self.identity, self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await room.local_participant.publish_track(track, options)

    @property
    def hears_agent(self) -> asyncio.Event:
        """Set once an audio track of the room is subscribed to: then a call is answered."""
        return self._hears

    async def set_status(self, status: str, **more: str) -> None:
        """Change `sip.callStatus`, and other attributes beside."""
        if self._room.isconnected():
            changes = {SIP_CALL_STATUS: status, **more}
            told = self._begin(self._room.local_participant.set_attributes(changes))
            # The SDK at times misses that it was done, and waits for 5 s.
            await asyncio.wait({told}, timeout=TOLD_S)

    async def become_active(self) -> None:
        """The phone is answered: from now on it is heard, and hears."""
        await self.set_status(
            "active", **{"sip.callIDFull": f"{self.call_id}@double", "sip.callTag": "tag"}
        )
        self.is_active = True
        self._heard.clear()
        self._begin(self._speak())

    def say(self, pcm: bytes) -> None:
        """Speak: 16 bit, 8 kHz, mono."""
        self._to_say.put_nowait(pcm)

    def heard(self) -> bytes:
        """Return all that was heard since the answer: 16 bit, 8 kHz, mono."""
        return bytes(self._heard)

    async def press(self, digits: str) -> None:
        """Press keys."""
        for digit in digits:
            await self._room.local_participant.publish_dtmf(code=_CODES[digit], digit=digit)

    async def hears_keys(self, digits: str) -> None:
        """Wait until these keys, and no others, were pressed for it."""
        while self.digits != digits:
            self._pressed.clear()
            await self._pressed.wait()

    async def hang_up(self) -> None:
        """The phone says goodbye (BYE)."""
        await self.leave("phone")

    async def leave(self, by: str, *, status: str = "hangup", reason: int = 1) -> None:
        """End the leg for a cause on the phone's side; without a status the last one stays."""
        if self._leaving is None:
            self._end(by)
            self._leaving = asyncio.create_task(self._leave(status, reason))
        await asyncio.shield(self._leaving)

    async def _leave(self, status: str, reason: int) -> None:
        if status:
            await self.set_status(status)
        await self._room.disconnect(reason=rtc.DisconnectReason.ValueType(reason))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._source.aclose()

    async def refer(self, to: str, timeout_s: float) -> None:
        """Ask the phone's carrier to put it through.

        Raises:
            Failure: what the API answers instead of an empty response.
        """
        self.referred_to = to
        if not self.is_active:
            raise Failure("failed_precondition", "can't transfer non established call")
        if self.refers is RefersTo.NOT_ALLOWED:
            raise refused(405, "twirp error unknown")
        if self.refers is RefersTo.SILENCE:
            await asyncio.sleep(timeout_s)
            raise Failure("deadline_exceeded", "request timed out")
        await asyncio.sleep(self.refer_s)
        match self.refers:
            case RefersTo.BUSY:
                raise refused(486, "twirp error unknown")
            case RefersTo.HANGS_UP:
                # The service answers as if it had succeeded.
                await self.hang_up()
            case _:
                self._begin(self._leave_after(REFER_BYE_S))

    def end_after(self, seconds: float) -> None:
        """Hang up when the trunk's longest call is over."""
        self._begin(self._leave_after(seconds))

    async def aclose(self) -> None:
        """Leave, if still there."""
        await self.leave("service")

    async def _leave_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.leave("service")

    async def _speak(self) -> None:
        """Send what is said, silence in between, as RTP does."""
        pending = b""
        while not self.ended.is_set():
            while not self._to_say.empty():
                pending += self._to_say.get_nowait()
            frame = pending[:_FRAME_BYTES].ljust(_FRAME_BYTES, b"\0")
            pending = pending[_FRAME_BYTES:]
            await self._source.capture_frame(rtc.AudioFrame(frame, RATE_HZ, 1, _FRAME_BYTES // 2))

    async def _listen(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=RATE_HZ, num_channels=1)
        try:
            async for event in stream:
                if self.is_active:
                    self._heard += bytes(event.frame.data)
        finally:
            await stream.aclose()

    def _on_track(self, track: rtc.Track, *_: object) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            self._hears.set()
            self._begin(self._listen(track))

    def _on_digit(self, digit: rtc.SipDTMF) -> None:
        self.digits += digit.digit
        self._pressed.set()

    async def _on_end_call(self, _: rtc.RpcInvocationData) -> str:
        self._begin(self.leave("service"))
        return "{}"

    def _end(self, by: str) -> None:
        if not self.ended.is_set():
            self.ended_by = by
            self.ended.set()

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
