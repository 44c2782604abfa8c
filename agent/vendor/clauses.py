"""Cuts an LLM's text into what a streaming voice is sent: each piece as soon as it can be said."""

from __future__ import annotations

import re

from livekit.agents.tokenize import SentenceStream, SentenceTokenizer, TokenData

from agent.speech.clause import ClauseSplitter, Piece

_MIN_FIRST_WORDS = 2
_MARKUP = re.compile(r"^\s*(?:#+|>+|[*+-])\s+|(?<!\w)[*_`~]+(?=\S)|(?<=\S)[*_`~]+(?!\w)", re.M)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_PICTOGRAM = re.compile("[\U0001f000-\U0001fbff\u2600-\u27bf\ufe00-\ufe0f\u200d\u20e3]+")


def sayable(text: str) -> str:
    """Return `text` without what is written but not said: Markdown's marks, pictograms."""
    return " ".join(_PICTOGRAM.sub("", _MARKUP.sub("", _LINK.sub(r"\1", text))).split())


class Clauses:
    """Takes an answer as it is written, and gives the texts to be spoken."""

    def __init__(self) -> None:
        self._splitter = ClauseSplitter(min_first_words=_MIN_FIRST_WORDS, is_hasty=True)

    def push(self, text: str) -> list[str]:
        """Take more of the answer; return what can be said by now."""
        return _sayable(self._splitter.push(text))

    def flush(self) -> list[str]:
        """Return what is left: there is no more."""
        return _sayable(self._splitter.flush())


class ClauseTokenizer(SentenceTokenizer):
    """The plug-in's tokenizer. The session's own text filters are to be switched off.

    Those hold each word back until the next is there, and so does a tokenizer that waits for the
    sentence after the one it gives.
    """

    def tokenize(self, text: str, *, language: str | None = None) -> list[str]:
        clauses = Clauses()
        return [*clauses.push(text), *clauses.flush()]

    def stream(self, *, language: str | None = None) -> SentenceStream:
        return _ClauseStream()


class _ClauseStream(SentenceStream):
    def __init__(self) -> None:
        super().__init__()
        self._clauses = Clauses()

    def push_text(self, text: str) -> None:
        self._check_not_closed()
        self._send(self._clauses.push(text))

    def flush(self) -> None:
        self._check_not_closed()
        self._send(self._clauses.flush())

    def end_input(self) -> None:
        self.flush()
        self._do_close()

    async def aclose(self) -> None:
        self._do_close()

    def _send(self, texts: list[str]) -> None:
        for text in texts:
            self._event_ch.send_nowait(TokenData(token=text))


def _sayable(pieces: list[Piece]) -> list[str]:
    return [text for piece in pieces if (text := sayable(piece.text))]
