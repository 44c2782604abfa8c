"""The room as an agent sees it, with a bridge in it that plays by the loop's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from livekit import rtc
from livekit.rtc.participant import PublishDataError, PublishDTMFError

from contracts import media
from contracts.command import AnyCommand, parse_command
from contracts.ids import COMMAND_TOPIC, HOLD_ATTRIBUTE, LEG_NEWS_TOPIC, MEDIA_TOPIC
from contracts.leg_news import AnyNews, CallHeld, CallResumed, DigitHeard, serialize_news

RATE_HZ = 8000
_TICK_S = 0.04
_TICK_SAMPLES = round(RATE_HZ * _TICK_S)


class FakeCaller:
    """The caller's participant."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.sid = f"PA_{identity}"
        self.attributes: dict[str, str] = {}
        self.kind: int = rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD
        self.track_publications: dict[str, Any] = {}
        self.disconnect_reason: int | None = None


class PhoneRoom:
    """Plays what the agent sends and tells how far, as the bridge does.

    It is also the agent's own participant: what the agent sends goes nowhere else.

    Attributes:
        commands: what the agent told the bridge to do.
        packets: every media packet the agent sent.
        is_gone: nothing can be sent any more.
        dtmf: the keys that were pressed through LiveKit, with their codes.
        tracks: names of the data tracks that were published.
        mouth: what the caller says next, PCM16; silence where there is nothing.
    """

    def __init__(self, caller_identity: str) -> None:
        self.local_participant = self
        self.sid = self.identity = "bot"
        self.name = "room"
        self.attributes: dict[str, str] = {}
        self.kind = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
        self.caller = FakeCaller(caller_identity)
        self.remote_participants: dict[str, Any] = {caller_identity: self.caller}
        self.commands: list[AnyCommand] = []
        self.packets: list[media.DownPacket] = []
        self.tracks: list[str] = []
        self.dtmf: list[tuple[int, str]] = []
        self.mouth = bytearray()
        self.is_gone = False
        self.disconnects = 0
        self._handlers: dict[str, list[Callable[..., None]]] = {}
        self._segments: dict[int, int] = {}
        self._ended: set[int] = set()
        self._paused = False
        self._played = 0
        self._last = 0
        self._at_ms = 0
        self._playing: asyncio.Task[None] | None = None

    def on(self, event: str, handler: Callable[..., None]) -> None:
        self._handlers.setdefault(event, []).append(handler)

    def off(self, event: str, handler: Callable[..., None]) -> None:
        self._handlers[event].remove(handler)

    def emit(self, event: str, *args: Any) -> None:
        for handler in list(self._handlers.get(event, [])):
            handler(*args)

    def isconnected(self) -> bool:
        return False

    async def disconnect(self) -> None:
        self.disconnects += 1
        self.is_gone = True
        self.emit("disconnected", None)

    async def publish_data_track(self, *, name: str) -> None:
        self.tracks.append(name)

    async def publish_data(self, payload: bytes, *, topic: str, **_: Any) -> None:
        if self.is_gone:
            raise PublishDataError("the engine is closed")
        if topic == COMMAND_TOPIC:
            self.commands.append(parse_command(payload))
        elif topic == MEDIA_TOPIC:
            self._take(media.parse_down(payload))

    async def publish_dtmf(self, *, code: int, digit: str) -> None:
        if self.is_gone:
            raise PublishDTMFError("the engine is closed")
        self.dtmf.append((code, digit))

    def news(self, news: AnyNews, sender: Any = None) -> None:
        """The bridge tells something."""
        self._deliver(serialize_news(news), LEG_NEWS_TOPIC, sender or self.caller)

    def hold(self, is_held: bool = True, *, tell: bool = True) -> None:
        """The far end holds the line, or is back; not everybody hears the news."""
        if tell:
            self.news(CallHeld() if is_held else CallResumed())
        changed = {HOLD_ATTRIBUTE: "1" if is_held else ""}
        self.caller.attributes |= changed
        self.emit("participant_attributes_changed", changed, self.caller)

    def press(self, digits: str) -> None:
        """The caller presses keys."""
        for digit in digits:
            self.news(DigitHeard(digit=digit))

    def answer(self) -> None:
        """Start the leg's clock."""
        self._playing = asyncio.create_task(self._play())

    async def leave(self, reason: int | None = rtc.DisconnectReason.CLIENT_INITIATED) -> None:
        """The bridge leaves the room: nothing is played any more."""
        await self.stop()
        self.caller.disconnect_reason = reason
        self.remote_participants.clear()
        self.emit("participant_disconnected", self.caller)

    async def stop(self) -> None:
        if self._playing is not None:
            self._playing.cancel()
            await asyncio.gather(self._playing, return_exceptions=True)

    @property
    def is_playing(self) -> bool:
        """Whether the caller hears the bot."""
        return bool(self._segments) and not self._paused

    def spoken_s(self) -> float:
        """How much the agent sent to be played, seconds."""
        sent = sum(len(p.pcm) for p in self.packets if isinstance(p, media.Speech))
        return sent / 2 / RATE_HZ

    def _take(self, packet: media.DownPacket) -> None:
        self.packets.append(packet)
        match packet:
            case media.Speech():
                self._segments[packet.segment] = (
                    self._segments.get(packet.segment, 0) + len(packet.pcm) // 2
                )
            case media.SpeechEnd():
                self._ended.add(packet.segment)
            case media.Pause():
                self._paused = True
            case media.Resume():
                self._paused = False
            case media.Clear():
                played = self._played
                self._paused = False
                self._segments.clear()
                self._played = 0
                self._send(media.Finished(packet.segment, played, True))

    async def _play(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self._at_ms += round(_TICK_S * 1000)
            number = next(iter(self._segments), 0)
            if number and not self._paused:
                self._played = min(self._segments[number], self._played + _TICK_SAMPLES)
                self._last = number
            spoken = bytes(self.mouth[: 2 * _TICK_SAMPLES]).ljust(2 * _TICK_SAMPLES, b"\0")
            del self.mouth[: 2 * _TICK_SAMPLES]
            self._send(media.Heard(self._at_ms, number, self._played, spoken))
            if number in self._ended and self._played >= self._segments.get(number, 0):
                self._send(media.Finished(number, self._played, False))
                self._segments.pop(number)
                self._played = 0

    def _send(self, packet: media.UpPacket) -> None:
        self._deliver(media.serialize(packet), MEDIA_TOPIC, self.caller)

    def _deliver(self, data: bytes, topic: str, sender: Any) -> None:
        kind = rtc.DataPacketKind.KIND_RELIABLE
        packet = rtc.DataPacket(data=data, kind=kind, participant=sender, topic=topic)
        self.emit("data_received", packet)
