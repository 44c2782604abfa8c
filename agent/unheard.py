"""Whether the STT still hears: a pure policy on the speech that it made nothing of."""

from __future__ import annotations

_SHORTEST_S = 0.5
"""A cough is no word that went missing."""
_STRETCHES = 3
_SUSPICIOUS_S = 1.0
_CLEAR_S = 1.0
"""Nobody coughs for so long."""
_APART_S = 1.0
"""A voice that pauses for less goes on with what it was saying."""
_UTTERANCES = 3


class Unheard:
    """Counts speech without a transcript, in a row.

    An STT that takes audio and answers nothing raises no error; left alone, it would make a caller
    who speaks look like one who is not there. One that has found words before in this call is given
    more time: then a television is likelier.
    """

    def __init__(self) -> None:
        self._stretches = 0
        self._speech_s = 0.0
        self._utterances = 0
        self._is_proven = False

    def spoke(self, speech_s: float, pause_s: float) -> bool:
        """Take note of a voice that has ended; return whether words for it are the last chance.

        Args:
            speech_s: how long it was heard.
            pause_s: how long nobody spoke before it.
        """
        if speech_s >= _CLEAR_S and pause_s >= _APART_S:
            self._utterances += 1
        return not self._is_proven and self._utterances >= _UTTERANCES

    def missed(self, speech_s: float) -> bool:
        """Take note of a stretch of speech without words; return whether to give the STT up.

        Args:
            speech_s: how long the caller has spoken since there were words, this stretch included.
        """
        if speech_s - self._speech_s >= _SHORTEST_S:
            self._stretches += 1
        self._speech_s = speech_s
        return self._stretches >= _STRETCHES

    def heard(self) -> None:
        """Words came: all is well."""
        self._is_proven = True
        self.listened()

    def listened(self) -> None:
        """The STT takes what it heard for no words: it answers, at least."""
        self._stretches = 0
        self._speech_s = 0.0

    @property
    def is_suspicious(self) -> bool:
        """Whether there was enough of it that somebody must have spoken."""
        return self._speech_s >= _SUSPICIOUS_S
