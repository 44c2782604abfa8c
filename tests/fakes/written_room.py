"""A room as an agent sees it whose caller reads and types: text streams, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from livekit import rtc
from livekit.rtc.data_stream import StreamError

from tests.fakes.phone_room import PhoneRoom


@dataclass
class Written:
    """One text stream that the agent wrote, as far as it went."""

    topic: str
    sender: str
    attributes: dict[str, str]
    destinations: list[str] | None = None
    text: str = ""
    is_closed: bool = False
    writes: list[str] = field(default_factory=list)


class _Writer:
    def __init__(self, room: WrittenRoom, written: Written) -> None:
        self._room = room
        self._written = written

    async def write(self, text: str) -> None:
        await self._room.pass_on()
        self._written.text += text
        self._written.writes.append(text)

    async def aclose(self, *, attributes: dict[str, str] | None = None) -> None:
        await self._room.pass_on()
        self._written.attributes |= attributes or {}
        self._written.is_closed = True


class Message:
    """A text stream that somebody sends: pieces, and a sign that it is over."""

    def __init__(self, number: int) -> None:
        self.info = SimpleNamespace(stream_id=f"stream-{number}")
        self.closes = 0
        self._pieces: asyncio.Queue[str | Exception | None] = asyncio.Queue()

    def put(self, piece: str | Exception | None) -> None:
        self._pieces.put_nowait(piece)

    def close(self) -> None:
        self.closes += 1

    def __aiter__(self) -> Message:
        return self

    async def __anext__(self) -> str:
        piece = await self._pieces.get()
        if isinstance(piece, Exception):
            raise piece
        if piece is None:
            raise StopAsyncIteration
        return piece


class WrittenRoom(PhoneRoom):
    """`PhoneRoom` with text streams.

    Attributes:
        written: every stream the agent wrote.
        is_stuck: nothing that is sent gets anywhere, or is refused.
        is_broken: the connection refuses what is sent.
        is_up: what `isconnected` says.
    """

    def __init__(self, caller_identity: str) -> None:
        super().__init__(caller_identity)
        self.written: list[Written] = []
        self.is_stuck = False
        self.is_broken = False
        self.is_up = False
        self.shown: dict[str, str] = {}
        self.track_publications: dict[str, Any] = {}
        self._takers: dict[str, Callable[[Any, str], None]] = {}
        self._messages = 0

    def isconnected(self) -> bool:
        return self.is_up

    async def pass_on(self) -> None:
        if self.is_broken:
            raise StreamError("the engine is closed")
        if self.is_stuck:
            await asyncio.Event().wait()

    async def stream_text(
        self, *, topic: str, sender_identity: str, attributes: dict[str, str]
    ) -> _Writer:
        await self.pass_on()
        written = Written(topic, sender_identity, dict(attributes))
        self.written.append(written)
        return _Writer(self, written)

    async def send_text(
        self,
        text: str,
        *,
        topic: str,
        destination_identities: list[str],
        attributes: dict[str, str],
    ) -> None:
        await self.pass_on()
        self.written.append(
            Written(topic, "bot", dict(attributes), destination_identities, text, True)
        )

    async def set_attributes(self, attributes: dict[str, str]) -> None:
        await self.pass_on()
        self.shown |= attributes

    def register_text_stream_handler(self, topic: str, taker: Callable[[Any, str], None]) -> None:
        assert topic not in self._takers
        self._takers[topic] = taker

    def unregister_text_stream_handler(self, topic: str) -> None:
        del self._takers[topic]

    def begin(self, topic: str = "lk.chat", sender: str = "") -> Message:
        """Somebody, the caller unless named, begins a text stream."""
        self._messages += 1
        message = Message(self._messages)
        if topic in self._takers:
            self._takers[topic](message, sender or self.caller.identity)
        return message

    def type(self, text: str, sender: str = "") -> Message:
        """Somebody sends a message."""
        message = self.begin(sender=sender)
        message.put(text)
        message.put(None)
        return message

    def tell_typing(self, sender: Any = None) -> None:
        self._deliver(b"", "vf.typing", sender or self.caller)

    def publish_microphone(self, who: Any, sid: str) -> None:
        """A participant, or the agent, has a microphone's track."""
        source = rtc.TrackSource.SOURCE_MICROPHONE
        who.track_publications[sid] = SimpleNamespace(sid=sid, source=source)
