"""Says a bot's lines in words its voice can read, and keeps the transcript as it was written."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

from livekit import rtc
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT

from agent.speech.saying.language import Language
from agent.speech.saying.line import SpokenLine
from agent.speech.saying.written import Written
from contracts.speech import Pronunciation


class Pronunciations:
    """A bot's way to say things; each of its lines is a `Pronounced`.

    Args:
        config: what is set; the defaults, if nothing.
        language: the voice's.
    """

    def __init__(self, config: Pronunciation | None = None, language: str = "en") -> None:
        config = config or Pronunciation()
        self._words = config.words
        self._language = language if config.numbers else None

    def of(self, text: str) -> str:
        """Return a whole line as it is said."""
        line = self.line()
        return line.take(text) + line.rest()

    def line(self) -> Pronounced:
        """Return a new line, whose text is still to come."""
        language = None if self._language is None else Language(self._language)
        return Pronounced(SpokenLine(language, self._words))


class Pronounced:
    """One line: its text on the way to the voice, the voice's words on their way back."""

    def __init__(self, line: SpokenLine) -> None:
        self._line = line
        self._written = Written()

    def take(self, text: str) -> str:
        """Take some of what is written; return what can be said by now."""
        pieces = self._line.push(text)
        self._written.add(pieces)
        return "".join(piece.written if piece.spoken is None else piece.spoken for piece in pieces)

    def rest(self) -> str:
        """Return what is left to be said."""
        pieces = self._line.flush()
        self._written.add(pieces)
        return "".join(piece.written if piece.spoken is None else piece.spoken for piece in pieces)

    async def spoken(self, text: AsyncIterable[str]) -> AsyncIterator[str]:
        """Yield text as it is said, as soon as it can be."""
        async for piece in text:
            if ready := self.take(piece):
                yield ready
        if rest := self.rest():
            yield rest

    def restore(self, frame: rtc.AudioFrame) -> None:
        """Give a frame's words back as they were written."""
        words = frame.userdata.get(USERDATA_TIMED_TRANSCRIPT)
        if words:
            frame.userdata[USERDATA_TIMED_TRANSCRIPT] = self._written.of(words)
