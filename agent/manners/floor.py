"""Who has the floor: what words of the caller's do to the line that the bot is saying."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from agent.manners import phrasebook
from agent.manners.words import PhraseBook, Words, folded
from contracts.manners import Manners

ANSWERING_TAIL_S = 1.2
"""A short word that falls into the last 1.2 s of a question is its answer, not a backchannel."""
_SENTENCE_WORDS = 3
"""So many words that say something make a sentence, over an opening or a goodbye."""
_NEGATED_WITHIN = 2
_ASKING = ("?", "\u061f", "\uff1f")
_LISTENING = PhraseBook(phrasebook.LISTENING)
_POLITE = _LISTENING | PhraseBook(phrasebook.COURTESIES)
_GOODBYES = PhraseBook(
    (*phrasebook.BOT_GOODBYES, *phrasebook.CALLER_GOODBYES, *phrasebook.ADDRESSES)
)
_HELLOS = PhraseBook(phrasebook.HELLOS)
_GREETINGS = _POLITE | _HELLOS | PhraseBook(phrasebook.GREETINGS)
_INTENT = PhraseBook(phrasebook.HIGH_INTENT)
_LOOK_ALIKES = PhraseBook(phrasebook.LOOK_ALIKES)
_NEGATIONS = PhraseBook(phrasebook.NEGATIONS)
_CORRECTIONS = PhraseBook(phrasebook.CORRECTIONS)
_REQUESTS = PhraseBook(phrasebook.REQUESTS)


class Verdict(Enum):
    """What becomes of words."""

    PASS = auto()
    """They are the caller's turn, or part of it."""
    CUT = auto()
    """The same, and the bot falls silent at once."""
    HOLD = auto()
    """The bot goes on as if nothing was said."""
    KEEP = auto()
    """The bot finishes its line; then they are answered."""


@dataclass(frozen=True, slots=True)
class Over:
    """The line that words are said over.

    Attributes:
        text: all of it, as far as it is known.
        heard: what the caller has heard of it.
        remaining_s: how much of its audio is still to be played.
        is_opening: whether it is the call's first.
        is_late: whether they were begun before any of it was heard, so that they answer nothing.
        is_goodbye: whether the bot hangs up after it.
        is_guarded: whether it is to be heard to its end, bar a good reason.
    """

    text: str
    heard: str = ""
    remaining_s: float = 0.0
    is_opening: bool = False
    is_late: bool = False
    is_goodbye: bool = False
    is_guarded: bool = False


class Floor:
    """Judges one call's words.

    Args:
        manners: the bot's.
        min_words: its `min_words_interruption`.
    """

    def __init__(self, manners: Manners, min_words: int) -> None:
        self._manners = manners
        self._min_words = min_words
        extra = manners.backchannel.phrases if manners.backchannel.enabled else []
        self._listening = _LISTENING.beside(extra)
        self._polite = _POLITE.beside(extra)
        self._greetings = _GREETINGS.beside(extra)
        self._intent = _INTENT.beside(manners.high_intent.phrases)
        self._is_asked = True
        self._has_floor = False
        self._is_sure = False
        self._cut_lines = 0

    @property
    def is_looping(self) -> bool:
        """Whether the bot was cut off so often that its next line is to be heard."""
        loop = self._manners.loop
        return loop.enabled and self._cut_lines >= loop.after

    def voice_began(self) -> None:
        """The caller makes a sound: what an interim result said before may have been nothing."""
        if not self._is_sure:
            self._has_floor = False

    def taken_up(self) -> None:
        """The caller's turn is answered from now on."""
        self._has_floor = self._is_sure = self._is_asked = False

    def said(self, text: str, *, interrupted: bool) -> None:
        """A line of the bot's is over, after so much of it was heard."""
        self._is_asked = self._is_asked or asks(text)
        was_looping, self._cut_lines = self.is_looping, self._cut_lines + 1
        if was_looping or not interrupted:
            self._cut_lines = 0

    def judge(self, text: str, over: Over | None, *, is_final: bool) -> Verdict:
        """Return what becomes of the caller's words so far.

        Args:
            text: them.
            over: the line that they are said over; None while the bot is silent.
            is_final: whether the recogniser is sure of them.
        """
        said = folded(text)
        verdict = Verdict.PASS
        if said and not self._has_floor:
            if over is None:
                verdict = self._in_silence(text, said)
            else:
                verdict = self._over(said, over, is_final)
        if said and verdict in (Verdict.PASS, Verdict.CUT):
            self._has_floor = True
            self._is_sure = self._is_sure or is_final
        return verdict

    def _in_silence(self, text: str, said: Words) -> Verdict:
        """A listener's noise is no turn, unless somebody asked."""
        is_noise = self._manners.backchannel.enabled and not self._listening.leaves(said)
        if is_noise and not self._is_asked and not text.rstrip().endswith(_ASKING):
            return Verdict.HOLD
        return Verdict.PASS

    def _over(self, said: Words, over: Over, is_final: bool) -> Verdict:
        if over.is_goodbye:
            return self._over_goodbye(said)
        if over.is_opening and self._manners.opening.enabled:
            return self._over_opening(said, over, is_final)
        if self._insists(said, is_final):
            return Verdict.CUT
        filters = self._manners.backchannel.enabled
        is_noise = filters and not self._polite.leaves(said)
        # Interim results break off anywhere: an answer is one when it is said.
        is_answer = is_final and _is_answer(over)
        if over.is_guarded:
            return Verdict.HOLD if is_noise and not is_answer else Verdict.KEEP
        is_enough = len(said) >= self._min_words and not is_noise
        return Verdict.CUT if is_enough or is_answer else Verdict.HOLD

    def _over_opening(self, said: Words, over: Over, is_final: bool) -> Verdict:
        rest = self._greetings.leaves(said)
        if self._insists(rest, is_final):
            return Verdict.CUT
        is_sentence = len(rest) >= max(_SENTENCE_WORDS, self._min_words)
        if is_sentence or (rest and is_final and _is_answer(over)):
            return Verdict.KEEP if over.is_guarded else Verdict.CUT
        # To "Am I speaking with Asha?" this is an answer, and the bot would wait for another.
        is_answer = is_final and not over.is_late and _is_asked_last(over)
        return Verdict.KEEP if is_answer and _HELLOS.leaves(said) else Verdict.HOLD

    def _over_goodbye(self, said: Words) -> Verdict:
        enough = max(_SENTENCE_WORDS, self._min_words)
        # Who says goodbye in turn has nothing more to say.
        is_more = len(said) >= enough and bool(self._polite.leaves(_GOODBYES.leaves(said)))
        return Verdict.CUT if is_more or _CORRECTIONS.spans(said) else Verdict.HOLD

    def _insists(self, said: Words, is_final: bool) -> bool:
        """Whether words are among those that always cut the bot off."""
        if not self._manners.high_intent.enabled:
            return False
        alike = _LOOK_ALIKES.spans(said)
        for start, end in self._intent.spans(said):
            if any(first < end and start < last for first, last in alike):
                continue
            if _NEGATIONS.spans(said[max(0, start - _NEGATED_WITHIN) : start]):
                continue
            # "No" may become "no problem" with the next result.
            if is_final or not _LOOK_ALIKES.may_become(said[start:]):
                return True
        return False


def _is_answer(over: Over) -> bool:
    return asks(over.heard) or _is_asked_last(over)


def _is_asked_last(over: Over) -> bool:
    return over.remaining_s <= ANSWERING_TAIL_S and asks(over.text)


def asks(text: str) -> bool:
    """Return whether a line of the bot's wants an answer."""
    return any(mark in text for mark in _ASKING) or bool(_REQUESTS.spans(folded(text)))
