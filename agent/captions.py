"""Both sides' words as a visitor reads them, on LiveKit's own topic for that.

A line of the visitor's is sent whole with every interim result, under one segment's name. A line
of the bot's is one stream that grows as far as it was heard, so that an interruption leaves exactly
that. What cannot be sent in time is dropped: captions hold nothing up.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog
from livekit import rtc
from livekit.agents.voice import io

from agent.caller import Caller
from contracts.ids import CAPTION_TOPIC

log = structlog.get_logger(__name__)

SEGMENT = "lk.segment_id"
FINAL = "lk.transcription_final"
TRACK = "lk.transcribed_track_id"
_SEND_S = 2.0
_MAX_LINES = 50
"""Lines that wait while nothing can be sent; the oldest go first."""


@dataclass(slots=True)
class _Line:
    segment: str
    is_bots: bool
    text: str = ""
    is_final: bool = False
    sent: str | None = None
    is_done: bool = False
    writer: rtc.TextStreamWriter | None = None

    @property
    def is_news(self) -> bool:
        return not self.is_done and (self.is_final or self.text != (self.sent or ""))


class Captions:
    """What both sides say, as it is said. `run` sends it.

    Args:
        room: where it is read.
        caller: the visitor.
    """

    def __init__(self, room: rtc.Room, caller: Caller) -> None:
        self._room = room
        self._caller = caller
        self._lines: list[_Line] = []
        self._speaking: tuple[object, _Line] | None = None
        self._listening: _Line | None = None
        self._number = 0
        self._news = asyncio.Event()
        self._all_sent = asyncio.Event()
        self._all_sent.set()

    def said(self, line: object, text: str, *, is_over: bool) -> None:
        """The visitor has heard so much of one of the bot's lines."""
        if self._speaking is None or self._speaking[0] is not line:
            if is_over and not text:
                return  # nothing of it was heard
            self._speaking = (line, self._new_line(is_bots=True))
        told = self._speaking[1]
        if text.startswith(told.text):
            told.text = text
        if is_over:
            told.is_final = True
            self._speaking = None
        self._tell()

    def heard(self, text: str, *, is_final: bool) -> None:
        """The visitor's words so far; the next ones are another line if these are final."""
        if self._listening is None:
            if not text:
                return
            self._listening = self._new_line(is_bots=False)
        self._listening.text, self._listening.is_final = text, is_final
        if is_final:
            self._listening = None
        self._tell()

    async def run(self) -> None:
        """Send what there is to read, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            for line in [line for line in self._lines if line.is_news]:
                try:
                    async with asyncio.timeout(_SEND_S):
                        await self._send(line)
                except (ConnectionError, TimeoutError) as error:
                    log.info("caption not sent", error=type(error).__name__)
                    line.is_done = True
            self._lines = [line for line in self._lines if not line.is_done]
            if not any(line.is_news for line in self._lines):
                self._all_sent.set()

    async def sent(self, timeout_s: float) -> None:
        """Return once all that was said is on its way, or the time is up."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._all_sent.wait()
        except TimeoutError:
            log.info("captions left unsent")

    def _new_line(self, *, is_bots: bool) -> _Line:
        self._number += 1
        line = _Line(f"SG_{self._room.local_participant.sid}_{self._number}", is_bots)
        self._lines = [*self._lines[1 - _MAX_LINES :], line]
        return line

    def _tell(self) -> None:
        self._all_sent.clear()
        self._news.set()

    async def _send(self, line: _Line) -> None:
        if line.is_bots:
            await self._grow(line)
        else:
            await self._replace(line)

    async def _grow(self, line: _Line) -> None:
        text, is_final = line.text, line.is_final
        new = text[len(line.sent or "") :]
        if line.writer is None and new:
            line.writer = await self._open(line, is_final=False)
        if line.writer is not None and new:
            line.sent = text
            await line.writer.write(new)
        if is_final:
            line.is_done = True
            if line.writer is not None:
                await line.writer.aclose(attributes=self._attributes(line, is_final=True))

    async def _replace(self, line: _Line) -> None:
        line.sent, line.is_done = line.text, line.is_final
        text = line.text
        writer = await self._open(line, is_final=line.is_final)
        if text:
            await writer.write(text)
        await writer.aclose()

    async def _open(self, line: _Line, *, is_final: bool) -> rtc.TextStreamWriter:
        speaker = self._speaker(line)
        return await self._room.local_participant.stream_text(
            topic=CAPTION_TOPIC,
            sender_identity=speaker.identity if speaker else self._caller.identity,
            attributes=self._attributes(line, is_final=is_final),
        )

    def _attributes(self, line: _Line, *, is_final: bool) -> dict[str, str]:
        attributes = {SEGMENT: line.segment, FINAL: "true" if is_final else "false"}
        if track := _microphone(self._speaker(line)):
            attributes[TRACK] = track
        return attributes

    def _speaker(self, line: _Line) -> rtc.Participant | None:
        return self._room.local_participant if line.is_bots else self._caller.participant


class CaptionText(io.TextOutput):
    """The session's text as captions, for a call that is written: what is said has been heard."""

    def __init__(self, captions: Captions) -> None:
        super().__init__(label="captions", next_in_chain=None)
        self._captions = captions
        self._line = object()
        self._text = ""

    async def capture_text(self, text: str) -> None:
        """Take the next piece of the line."""
        self._text += text
        self._captions.said(self._line, self._text.strip(), is_over=False)

    def flush(self) -> None:
        """The line is complete, or was cut."""
        self._captions.said(self._line, self._text.strip(), is_over=True)
        self._line, self._text = object(), ""


def _microphone(who: rtc.Participant | None) -> str:
    """Return the name of a participant's microphone's track; "" if there is none."""
    for publication in list(who.track_publications.values()) if who else []:
        if publication.source == rtc.TrackSource.SOURCE_MICROPHONE:
            return publication.sid
    return ""
