"""An answer that one model began and another ends: nothing is said twice. Pure."""

from __future__ import annotations

import re

from livekit.agents import llm

_WORD = re.compile(r"\s*\S+")
_GO_ON = (
    "[Your answer broke off after your last words, which the caller has heard. Go on from there"
    " with the words that follow. Do not repeat any of them, and do not mention this.]"
)


def continuing(context: llm.ChatContext, said: str) -> llm.ChatContext:
    """Return what to ask a model for, that is to end an answer of which `said` is out."""
    asked = context.copy()
    asked.add_message(role="assistant", content=said)
    # Of a role that any server takes here: many want the system's words at the top alone.
    asked.add_message(role="user", content=_GO_ON)
    return asked


class Continuation:
    """Takes the rest of an answer as it is written, and leaves out what was said before.

    Models asked to go on like to begin anew, or to repeat the last words. As long as what comes
    may be such a repetition it is held back; that is a few words where it is not one.
    """

    def __init__(self, said: str) -> None:
        self._said = said
        self._words = [_plain(word) for word in said.split()]
        self._text = ""
        self._is_through = not self._words

    def push(self, text: str) -> str:
        """Take more text; return what of it is to be said."""
        if self._is_through:
            return text
        self._text += text
        # The last word may still grow.
        return self._settle(_WORD.findall(self._text)[:-1], is_end=False)

    def flush(self) -> str:
        """Return what was held back, where the text has ended."""
        return "" if self._is_through else self._settle(_WORD.findall(self._text), is_end=True)

    def _settle(self, words: list[str], *, is_end: bool) -> str:
        repeated = self._repeated([_plain(word) for word in words])
        if repeated is None and not is_end:
            return ""
        self._is_through = True
        rest = self._text[len("".join(words[: repeated or 0])) :]
        if rest and not self._said[-1].isspace() and not rest[0].isspace() and rest[0].isalnum():
            return f" {rest}"
        return rest.lstrip() if self._said[-1].isspace() else rest

    def _repeated(self, words: list[str]) -> int | None:
        """Return how many first words repeat the last that were said; None: not clear yet."""
        said = self._words
        open_ends = [
            at for at in range(len(said)) if said[at : at + len(words)] == words[: len(said) - at]
        ]
        whole = [len(said) - at for at in open_ends if len(said) - at <= len(words)]
        if whole:
            return max(whole)
        return None if open_ends else 0


def _plain(word: str) -> str:
    return re.sub(r"\W", "", word).casefold()
