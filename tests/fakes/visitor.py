"""A browser as a bot meets one: it hears, speaks if it may, reads captions, types."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from livekit import api, rtc

from agent.captions import FINAL, SEGMENT, TRACK
from contracts.ids import (
    CAPTION_TOPIC,
    CHAT_REFUSED_TOPIC,
    CHAT_TOPIC,
    ENDED_ATTRIBUTE,
    TYPING_TOPIC,
)
from tests.fakes.track_phone import TrackPhone
from tests.integration.livekit_server import LiveKitServer


def visitor_token(
    server: LiveKitServer, room: str, identity: str, *, attributes: bool = False
) -> str:
    """Return what lets a visitor into one room: their voice and messages, and no attributes."""
    grants = api.VideoGrants(
        room_join=True,
        room=room,
        can_publish=True,
        can_publish_data=True,
        can_subscribe=True,
        can_update_own_metadata=attributes,
        can_publish_sources=["microphone"],
    )
    token = api.AccessToken(server.key, server.secret).with_identity(identity)
    return token.with_grants(grants).to_jwt()


@dataclass
class Caption:
    """One segment as it stands on the screen.

    Attributes:
        sender: whose words.
        text: what is to be read now.
        steps: each text there was to read, with the visitor's time of it.
        is_final: whether it will not change.
        track: the track they were said in, "" if none.
    """

    sender: str
    track: str
    text: str = ""
    is_final: bool = False
    steps: list[tuple[float, str]] = field(default_factory=list)


class Visitor(TrackPhone):
    """Somebody at a web page.

    Attributes:
        captions: by segment, in the order they came.
        states: what the bot was doing, one after the other.
        ended: how the bot said that the call ended; "" until then.
        refused: why messages were not taken.
        left: why they are not in the room any more.
    """

    def __init__(self) -> None:
        super().__init__()
        self.captions: dict[str, Caption] = {}
        self.states: list[str] = []
        self.ended = ""
        self.refused: list[str] = []
        self.left: list[int] = []
        on = self.room.on
        on("participant_attributes_changed", self._on_attributes)
        on("disconnected", self.left.append)
        self.room.register_text_stream_handler(CAPTION_TOPIC, self._on_caption)
        self.room.register_text_stream_handler(CHAT_REFUSED_TOPIC, self._on_refused)

    @classmethod
    @asynccontextmanager
    async def on_page(
        cls, url: str, token: str, *, microphone: bool = True
    ) -> AsyncIterator[Visitor]:
        """Join, with a microphone unless it was refused."""
        visitor = cls()
        async with visitor.joined(url, token, microphone=microphone):
            yield visitor

    async def type(self, text: str) -> str:
        """Send a message, and return its stream's id."""
        sent = await self.room.local_participant.send_text(text, topic=CHAT_TOPIC)
        return sent.stream_id

    async def tell_typing(self) -> None:
        await self.room.local_participant.publish_data(b"", topic=TYPING_TOPIC)

    def read(self, sender: str) -> list[str]:
        """Return one side's lines as they stand."""
        return [each.text for each in self.captions.values() if each.sender == sender]

    async def until_read(self, sender: str, part: str, timeout_s: float = 15.0) -> Caption:
        """Wait for a finished line of one side with these words in it."""

        def found() -> list[Caption]:
            return [
                each
                for each in self.captions.values()
                if each.sender == sender and each.is_final and part.lower() in each.text.lower()
            ]

        try:
            await self.until(lambda: bool(found()), timeout_s)
        except TimeoutError:
            lines = json.dumps([(c.sender, c.text, c.is_final) for c in self.captions.values()])
            raise AssertionError(f"{part!r} is not in {lines}") from None
        return found()[0]

    def _on_attributes(self, changed: dict[str, str], who: rtc.Participant) -> None:
        if state := changed.get("lk.agent.state"):
            self.states.append(state)
        self.ended = changed.get(ENDED_ATTRIBUTE, self.ended)

    def _on_caption(self, reader: rtc.TextStreamReader, sender: str) -> None:
        self._tasks.append(asyncio.create_task(self._follow(reader, sender)))

    async def _follow(self, reader: rtc.TextStreamReader, sender: str) -> None:
        shown = reader.info.attributes or {}
        caption = self.captions.setdefault(shown[SEGMENT], Caption(sender, shown.get(TRACK, "")))
        text = ""
        async for piece in reader:
            text += piece
            caption.text = text
            caption.steps.append((self.now_s(), text))
        caption.text = text
        caption.is_final = (reader.info.attributes or {})[FINAL] == "true"

    def _on_refused(self, reader: rtc.TextStreamReader, _: str) -> None:
        async def read() -> None:
            self.refused.append(await reader.read_all())

        self._tasks.append(asyncio.create_task(read()))
