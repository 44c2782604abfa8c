"""When a mailbox can be spoken to, and whether it was a person after all; pure.

Seconds count from the answer, on the clock of the caller's audio.
"""

from __future__ import annotations

from enum import Enum

from agent.machine.phrase import MACHINES, Clue, read, words_of
from agent.machine.voice import Voice, Window
from contracts.machine import MachineDetection

_AFTER_BEEP_S = 0.25
"""A mailbox records from a moment after its beep."""
_AMID_BEEP_S = 0.1
"""The first of a beep may have counted as voice."""
_TALKING_S = 1.0
"""Whoever was heard so lately is still talking."""
_FEW_WORDS = 8
_ANSWER_WORDS = 3
"""Fewer words without a clue in them may be what a recogniser makes of noise."""


class Cue(Enum):
    """What is right by now."""

    SPEAK = "speak"
    GIVE_UP = "give_up"


class Mailbox:
    """From the verdict to the message.

    Args:
        config: the thresholds.
        now_s: when the verdict came.
        voice: whose voice it was, and whose beeps.
    """

    def __init__(self, config: MachineDetection, now_s: float, voice: Voice) -> None:
        self._config = config
        self._since_s = now_s
        self._voice = voice
        self.after = ""
        """What the message follows: `beep` or `pause`."""

    def window(self, window: Window) -> Cue | None:
        """Take the audio's next window; return what to do."""
        voice, now_s = self._voice, window.end_s
        voice.window(window)
        beep = voice.beep
        if beep is not None and beep.end_s >= voice.until_s - _AMID_BEEP_S:
            return self._speak("beep") if now_s - beep.end_s >= _AFTER_BEEP_S else None
        if voice.silent_s(now_s) >= self._config.message_pause_s:
            return self._speak("pause")
        if now_s - self._since_s < self._config.beep_wait_s:
            return None
        return Cue.GIVE_UP if voice.silent_s(now_s) < _TALKING_S else self._speak("pause")

    def _speak(self, after: str) -> Cue:
        self.after = after
        return Cue.SPEAK


def is_somebody(text: str, config: MachineDetection, *, is_recording: bool) -> bool:
    """Return whether words said after the verdict make no sense for a machine.

    Args:
        text: what was said since.
        config: the bot's phrases.
        is_recording: whether the bot speaks its message: no mailbox talks then.
    """
    clue = read(text, config.phrases)
    if clue in MACHINES:
        return False
    count = len(words_of(text).split())
    if clue is Clue.HUMAN and count <= _FEW_WORDS:
        return True
    return is_recording and count >= _ANSWER_WORDS
