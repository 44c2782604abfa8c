"""What was said so far, of what a recogniser tells piece by piece."""

from __future__ import annotations

from livekit.agents import stt

from agent.machine.phrase import words_of

_PIECES = (
    stt.SpeechEventType.INTERIM_TRANSCRIPT,
    stt.SpeechEventType.PREFLIGHT_TRANSCRIPT,
    stt.SpeechEventType.FINAL_TRANSCRIPT,
)


class Transcript:
    """The finals so far, and the best guess at what follows them."""

    def __init__(self) -> None:
        self._finals: list[str] = []
        self._guess = ""
        self._stale: list[str] = []

    def take(self, event: stt.SpeechEvent) -> bool:
        """Take what a recogniser tells; return whether it was words."""
        if event.type not in _PIECES or not event.alternatives:
            return False
        text = self._new(event.alternatives[0].text)
        if event.type is stt.SpeechEventType.FINAL_TRANSCRIPT:
            self._finals += [text] if text else []
            self._guess = ""
            self._stale = []
        else:
            self._guess = text
        return bool(event.alternatives[0].text.strip())

    @property
    def text(self) -> str:
        """All of it."""
        return " ".join([*self._finals, self._guess]).strip()

    @property
    def is_settled(self) -> bool:
        """Whether the recogniser is done with what it has told."""
        return not self._guess

    def clear(self) -> str:
        """Begin anew; return what was said. What it says again of that counts no more."""
        text = self.text
        self._stale += self._guess.split()
        self._finals.clear()
        self._guess = ""
        return text

    def _new(self, text: str) -> str:
        words, stale = text.split(), self._stale
        is_repeated = [words_of(each) for each in words[: len(stale)]] == [
            words_of(each) for each in stale
        ]
        return " ".join(words[len(stale) :] if is_repeated else words)


def is_final(event: stt.SpeechEvent) -> bool:
    """Return whether an event's words will not change any more."""
    return event.type is stt.SpeechEventType.FINAL_TRANSCRIPT
