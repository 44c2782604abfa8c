"""What a visitor types, within bounds: they may be anybody, and every message costs an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from unicodedata import category

import structlog
from livekit import rtc

from agent.caller import Caller
from contracts.ids import CHAT_REFUSED_TOPIC, CHAT_TOPIC, TYPING_TOPIC

log = structlog.get_logger(__name__)

MAX_CHARS = 2000
AT_ONCE = 5
PER_S = 1.0
OPEN_AT_ONCE = 4
OPEN_S = 10.0
"""How long a message may take from its first piece to its last."""
TYPING_S = 60.0
"""How long somebody who sends nothing is believed to be typing."""
TYPED = "typed"
"""Marks a message of the conversation, among its extras, as typed."""
TOO_LONG = "too_long"
TOO_MANY = "too_many"
_TELL_S = 2.0


class Allowance:
    """So many at once, and so many a second after that. Pure; `now` in seconds."""

    def __init__(self, at_once: float, per_s: float) -> None:
        self._at_once = at_once
        self._per_s = per_s
        self._left = at_once
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """Return whether one more is allowed; it is counted if so."""
        if self._at is not None:
            self._left = min(self._at_once, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Chat:
    """The visitor's messages, from `open` to `close`; those before `begin` are kept until then.

    Args:
        room: where they come from.
        caller: whose they are; nobody else's are looked at.
        take: takes each message.
        typing: told that the visitor is about to send one.
        refused: told why one was not taken, as often as is worth telling.
    """

    def __init__(
        self,
        room: rtc.Room,
        caller: Caller,
        *,
        take: Callable[[str], None],
        typing: Callable[[], None],
        refused: Callable[[str], None],
    ) -> None:
        self._room = room
        self._caller = caller
        self._take = take
        self._typing = typing
        self._refused = refused
        self._now = asyncio.get_running_loop().time
        self._messages = Allowance(AT_ONCE, PER_S)
        self._refusals = Allowance(AT_ONCE, PER_S)
        self._typings = Allowance(1, PER_S)
        self._typing_since: float | None = None
        self._early: list[str] | None = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = 0

    def open(self) -> None:
        """Listen for messages."""
        self._room.register_text_stream_handler(CHAT_TOPIC, self._on_stream)
        self._room.on("data_received", self._on_data)

    def begin(self) -> None:
        """The bot talks: hand on what came before, and what comes."""
        early, self._early = self._early or [], None
        for text in early:
            self._take(text)

    def spoken(self) -> None:
        """The visitor said something, so they are there."""
        self._typing_since = None

    def close(self) -> None:
        """Listen no more."""
        self._room.unregister_text_stream_handler(CHAT_TOPIC)
        self._room.off("data_received", self._on_data)
        for task in self._tasks:
            task.cancel()

    def _on_data(self, received: rtc.DataPacket) -> None:
        if received.topic != TYPING_TOPIC or not self._caller.is_(received.participant):
            return
        now = self._now()
        if not self._typings.take(now):
            return
        if self._typing_since is None:
            self._typing_since = now
        if now - self._typing_since < TYPING_S:
            self._typing()

    def _on_stream(self, reader: rtc.TextStreamReader, identity: str) -> None:
        if not self._caller.identity or identity != self._caller.identity:
            reader.close()
        elif self._open >= OPEN_AT_ONCE or not self._messages.take(self._now()):
            reader.close()
            self._refuse(reader.info.stream_id, TOO_MANY)
        else:
            self._open += 1
            self._work(self._read(reader))

    async def _read(self, reader: rtc.TextStreamReader) -> None:
        text = ""
        try:
            async with asyncio.timeout(OPEN_S):
                async for piece in reader:
                    text += piece
                    if len(text) > MAX_CHARS:
                        self._refuse(reader.info.stream_id, TOO_LONG)
                        return
        except (ConnectionError, TimeoutError) as error:
            log.info("message not read", error=type(error).__name__)
            return
        finally:
            self._open -= 1
            reader.close()
        if text := _plain(text):
            self._typing_since = None
            if self._early is None:
                self._take(text)
            else:
                self._early.append(text)

    def _refuse(self, stream_id: str, why: str) -> None:
        if self._refusals.take(self._now()):
            self._refused(why)
            self._work(self._tell(stream_id, why))

    async def _tell(self, stream_id: str, why: str) -> None:
        try:
            async with asyncio.timeout(_TELL_S):
                await self._room.local_participant.send_text(
                    why,
                    topic=CHAT_REFUSED_TOPIC,
                    destination_identities=[self._caller.identity],
                    attributes={"vf.stream_id": stream_id},
                )
        except (ConnectionError, TimeoutError) as error:
            log.info("refusal not told", error=type(error).__name__)

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _plain(text: str) -> str:
    """Return the text without control characters, which not every database keeps."""
    return "".join(char for char in text if category(char) != "Cc" or char in "\n\t").strip()
