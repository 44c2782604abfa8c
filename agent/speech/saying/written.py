"""From the words a voice has said back to those that were written, at the times they were said."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from unicodedata import category

from livekit.agents.types import NotGivenOr, TimedString

from agent.speech.saying.figure import Said

_FAR = 240
"""Letters that a voice may have left out, as of an address in a link, before we stop looking."""


@dataclass(slots=True)
class _Piece:
    """What is still to be said: its letters, and what stands for it where that differs."""

    letters: str
    written: str | None
    start_s: NotGivenOr[float] | None = None
    """When the first of it was said, once it was."""
    head: str = ""
    """The marks before it."""

    def begin(self, start_s: NotGivenOr[float], head: str) -> None:
        """It is being said; only the first word of it counts."""
        if self.start_s is None:
            self.start_s, self.head = start_s, head


class Written:
    """Follows one utterance: told what is sent to the voice, and then what the voice has said.

    Letters and digits are compared, and nothing else: voices put spaces and marks as they like.
    What stands for several spoken words counts as said with the last of them.
    """

    def __init__(self) -> None:
        self._pieces: deque[_Piece] = deque()

    def add(self, pieces: Iterable[Said]) -> None:
        """Take note of what is sent to the voice."""
        for piece in pieces:
            spoken = piece.written if piece.spoken is None else piece.spoken
            letters = _letters(spoken)
            if letters or piece.spoken is not None:
                self._pieces.append(
                    _Piece(letters, piece.written if piece.spoken is not None else None)
                )

    def of(self, words: Sequence[TimedString]) -> list[TimedString]:
        """Return timed words as they were written; those of an unfinished figure come later."""
        return [written for word in words if (written := self._of(word)) is not None]

    def _of(self, word: TimedString) -> TimedString | None:
        letters = _letters(word)
        if not letters and self._is_amid_figure():
            return None
        skipped = self._find(letters) if letters else None
        if skipped is None:
            # Marks alone; or the voice says something else, as where it has spelt out a title.
            return word
        left_out = self._skip(skipped)
        parts = [left_out] if left_out else []
        has_changed = bool(left_out)
        start_s: NotGivenOr[float] = word.start_time
        places = [at for at, sign in enumerate(word) if _is_letter(sign)]
        done = cursor = 0
        while done < len(places):
            piece = self._pieces[0]
            size = min(len(places) - done, len(piece.letters))
            first = places[done]
            end = places[done + size - 1] + 1 if size else cursor
            piece.letters = piece.letters[size:]
            if not piece.letters:
                self._pieces.popleft()
            if piece.written is None:
                parts.append(word[cursor:end])
            else:
                has_changed = True
                piece.begin(word.start_time, "" if parts else word[cursor:first])
                if parts:
                    parts.append(word[cursor:first])
                elif not piece.letters and piece.start_s is not None:
                    start_s = piece.start_s
                if not piece.letters:
                    # A name that is said by a pause alone brings no spaces.
                    parts.append(piece.head + piece.written + ("" if size else " "))
            done, cursor = done + size, end
            is_whole = not piece.letters or piece.written is None
        if not has_changed:
            return word
        if not parts:
            return None
        parts.append(word[cursor:] if is_whole else "")
        return TimedString("".join(parts), start_time=start_s, end_time=word.end_time)

    def _is_amid_figure(self) -> bool:
        return bool(self._pieces) and self._pieces[0].start_s is not None

    def _find(self, letters: str) -> int | None:
        """Return how many letters the voice has left out before these; None: they never come."""
        ahead, taken = "", iter(self._pieces)
        while len(ahead) < _FAR + len(letters):
            piece = next(taken, None)
            if piece is None:
                break
            ahead += piece.letters
            if len(ahead) >= len(letters) and ahead.startswith(letters):
                return 0
        found = ahead.find(letters)
        return None if found < 0 or found > _FAR else found

    def _skip(self, count: int) -> str:
        """Drop letters that were not said; return what stood for whole figures among them."""
        text = ""
        while count:
            piece = self._pieces[0]
            size = min(count, len(piece.letters))
            piece.letters, count = piece.letters[size:], count - size
            if not piece.letters:
                self._pieces.popleft()
                if piece.written is not None:
                    text += f"{piece.written} "
        return text


def _letters(text: str) -> str:
    """Return the letters and digits of `text`, each as one sign."""
    return "".join(sign.lower()[:1] for sign in text if _is_letter(sign))


def _is_letter(sign: str) -> bool:
    # A vowel's sign in Devanagari is a mark, and yet a part of its word.
    return sign.isalnum() or category(sign).startswith("M")
