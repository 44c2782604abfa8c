"""Who took the call: judged by when there is voice, by words and by beeps; pure.

Seconds count on the clock of the caller's audio. Nobody is judged while they speak, unless they
never stop: the bot would have to wait anyway.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.machine.phrase import (
    MACHINES,
    Clue,
    is_invitation,
    is_self_introduction,
    is_unfinished,
    read,
)
from agent.machine.voice import Voice, Window
from contracts.machine import AnsweredBy, MachineDetection

_MACHINE_PAUSE_S = 0.4
"""Words have given it away: what else it says only tells which machine."""
_SENTENCE_PAUSE_S = 0.8
"""After an announcement; a mailbox's own words would follow sooner."""
_WORDLESS_S = 1.3
"""How long the words of a greeting that is not short are waited for."""
_TONE_S = 0.15
"""After so much silence it is plain whether a tone was a beep."""
_TUNE_S = 0.5
"""... and after so much, that it was no note of a tune."""
_ENDLESS_S = 15.0
"""Voices that do not pause for so long are in the background: a television's, a platform's."""
_SPOKEN_BEFORE_BEEP_S = 1.0
"""Lines that are recorded beep at once."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who took the call.

    Attributes:
        by: whom it is taken for.
        reason: `phrase`, `beep`, `long_greeting`, `greeting`, `no_pause` or `silence`; `tool` where
            the model said so.
        at_s: when it was plain.
        waited_s: silence until then.
    """

    by: AnsweredBy
    reason: str
    at_s: float
    waited_s: float = 0.0


class Greeting:
    """The first thing that is said on a call, up to the verdict.

    Args:
        config: the thresholds.
        since_s: from when on is listened.
        silence_s: after how long whoever says nothing is spoken to, if not `config.silence_s`.
        voice: what was heard of it already.
    """

    def __init__(
        self,
        config: MachineDetection,
        since_s: float = 0.0,
        silence_s: float | None = None,
        voice: Voice | None = None,
    ) -> None:
        self._config = config
        self._since_s = since_s
        self._silence_s = config.silence_s if silence_s is None else silence_s
        self._text = ""
        self._clue: Clue | None = None
        self.voice = voice or Voice(since_s)

    def words(self, text: str) -> None:
        """Take all that was said so far, by the recogniser's best knowledge."""
        self._text = text
        self._clue = read(text, self._config.phrases)

    def window(self, window: Window) -> Verdict | None:
        """Take the audio's next window; return who it is once that is plain."""
        voice, now_s = self.voice, window.end_s
        voice.window(window)
        if voice.tone_s is not None and now_s - voice.tone_s < _TONE_S:
            return None
        if voice.began_s is None and not self._text:
            silent_s = now_s - self._since_s
            if silent_s < self._silence_s or window.is_voice:
                return None
            return Verdict("human", "silence", now_s, silent_s)
        silent_s = voice.silent_s(now_s)
        found = self._judged(now_s, silent_s)
        return None if found is None else Verdict(*found, now_s, silent_s)

    def _judged(self, now_s: float, silent_s: float) -> tuple[AnsweredBy, str] | None:
        if self._clue in MACHINES:
            return self._machine(self._clue, silent_s)
        if self._is_beeped and self.voice.beep is not None and self.voice.beep.is_plain:
            is_over = now_s - self.voice.beep.end_s >= _TUNE_S
            return ("voicemail", "beep") if is_over else None
        config, span_s = self._config, self.voice.span_s
        if span_s > _ENDLESS_S:
            return "human", "no_pause"
        is_long = span_s > config.long_greeting_s
        if self._clue is None and is_long and not is_invitation(self._text):
            return ("voicemail", "long_greeting") if silent_s >= config.long_pause_s else None
        return ("human", "greeting") if silent_s >= self._patience_s(span_s) else None

    def _machine(self, clue: Clue | None, silent_s: float) -> tuple[AnsweredBy, str] | None:
        if self._is_beeped:
            return "voicemail", "phrase"
        by: AnsweredBy = "voicemail"
        pause_s = _MACHINE_PAUSE_S
        match clue:
            case Clue.ABSENT:
                # A mailbox may follow: its tone, or its words.
                by, pause_s = "unavailable", self._config.message_pause_s
            case Clue.UNAVAILABLE:
                by, pause_s = "unavailable", _SENTENCE_PAUSE_S
            case Clue.SCREENING:
                by, pause_s = "screening", _SENTENCE_PAUSE_S
            case Clue.MENU:
                by, pause_s = "menu", _SENTENCE_PAUSE_S
        is_over = silent_s >= pause_s or self.voice.span_s > _ENDLESS_S
        return (by, "phrase") if is_over else None

    @property
    def _is_beeped(self) -> bool:
        beep, began_s = self.voice.beep, self.voice.began_s
        if beep is None or began_s is None:
            return False
        return beep.start_s - began_s >= _SPOKEN_BEFORE_BEEP_S

    def _patience_s(self, span_s: float) -> float:
        config = self._config
        is_short = span_s <= config.short_greeting_s
        if not self._text:
            return config.pause_s if is_short else max(config.long_pause_s, _WORDLESS_S)
        if not is_short or is_unfinished(self._text) or is_self_introduction(self._text):
            return config.long_pause_s
        return config.pause_s
