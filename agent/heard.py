"""What the caller heard of a bot's line, given how far its audio was played."""

from __future__ import annotations

from dataclasses import dataclass, field

_TOLERANCE_S = 0.08
"""A word whose last 80 ms were cut was understood."""


@dataclass(slots=True)
class BotLine:
    """The text of one utterance as it is spoken.

    Pieces with their end on the utterance's own clock, or None.
    """

    pieces: list[tuple[str, float | None]] = field(default_factory=list)
    speech_id: str = ""
    """Which of the session's speeches it belongs to."""
    guard_s: float = 0.0
    """So much of it plays on under a voice."""

    def add(self, text: str, end_s: float | None = None) -> None:
        """Append a piece.

        `end_s` is when it has been said, in seconds from the utterance's start.
        """
        self.pieces.append((text, end_s))

    @property
    def text(self) -> str:
        """The whole line."""
        return "".join(piece for piece, _ in self.pieces).strip()

    def heard(self, played_s: float, pushed_s: float) -> str:
        """Return what was said by `played_s`, cut at a word.

        Args:
            played_s: audio played, seconds.
            pushed_s: audio made so far, seconds; used where pieces carry no times.
        """
        if played_s <= 0:
            return ""
        if any(end_s is not None for _, end_s in self.pieces):
            return self._heard_by_time(played_s)
        if played_s >= pushed_s:
            return self.text
        return cut_at_word(self.text, round(len(self.text) * played_s / pushed_s))

    def _heard_by_time(self, played_s: float) -> str:
        said: list[str] = []
        for piece, end_s in self.pieces:
            if end_s is not None and end_s > played_s + _TOLERANCE_S:
                break
            said.append(piece)
        return "".join(said).strip()


def cut_at_word(text: str, length: int) -> str:
    """Return at most `length` characters of `text`, never half a word."""
    if length >= len(text):
        return text
    if length > 0 and not text[length].isspace() and not text[length - 1].isspace():
        length = text.rfind(" ", 0, length) + 1
    return text[:length].strip()
