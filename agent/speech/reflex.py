"""What callers say to any bot at any time: repeat that, hold on, a human please, thank you,
goodbye. Pure.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from agent.speech.phrase import normal


class Reflex(Enum):
    """A reaction that needs no rule of the bot's own."""

    NOISE = auto()
    """Nothing was really said: the recogniser's idea of a cough."""
    REPEAT = auto()
    HOLD_ON = auto()
    HUMAN = auto()
    THANKS = auto()
    GOODBYE = auto()
    ROBOT = auto()
    HOW_ARE_YOU = auto()
    GREETING = auto()


_LEAD = r"^(?:(?:ok|okay|oh|alright|all right|great|good|perfect|and|so|hi|hello|yes|no|sorry) )*"
_MOMENT = r"(?:moment|second|sec|minute)"
_PERSON = (
    r"(?:human|person|someone|somebody|agent|operator|representative|manager|receptionist|staff"
    r"|colleague|supervisor)"
)
_PATTERNS: tuple[tuple[Reflex, re.Pattern[str]], ...] = (
    (Reflex.NOISE, re.compile(r"^(?:you|the|a|i|so|and|oh|)$")),
    (
        Reflex.REPEAT,
        re.compile(
            r"\b(?:repeat (?:that|it|this|yourself|the)|repeat please|say (?:that|it) again"
            r"|come again|what did you (?:just )?say|what was that|one more time"
            r"|did not (?:hear|catch|get) (?:you|that|it)|can not hear you|speak up"
            r"|i beg your pardon)\b"
            r"|^(?:(?:i am )?sorry|pardon(?: me)?|excuse me|what|huh|again|repeat|say again)"
            r"(?: please)?$"
        ),
    ),
    (
        Reflex.HUMAN,
        re.compile(
            rf"\b(?:(?:speak|talk|connect|transfer|get|put)\b.{{0,24}}\b{_PERSON}"
            r"|(?:real|live|actual) (?:person|human|agent)|customer (?:service|care)"
            r"|operator please)\b"
            r"|^(?:a )?(?:human|operator|agent|representative|person)(?: please)?$"
        ),
    ),
    (
        Reflex.ROBOT,
        re.compile(
            r"\b(?:are you|is this|am i (?:talking|speaking) (?:to|with))(?: (?:a|an|some))?"
            r"(?: kind of)?(?: real)?"
            r" (?:robot|bot|machine|computer|ai|a i|real|human|person|recording)\b"
        ),
    ),
    (
        Reflex.HOLD_ON,
        re.compile(
            rf"\b(?:hold on|hang on|just (?:a|one) {_MOMENT}|one {_MOMENT}"
            rf"|give me (?:a|one) {_MOMENT}|wait a {_MOMENT}"
            r"|let me (?:check|find|see|grab|get my|look))\b|^wait(?: please)?$"
        ),
    ),
    (
        Reflex.GOODBYE,
        re.compile(
            rf"{_LEAD}(?:thank you |thanks )?(?:so much |very much |a lot )?"
            r"(?:good ?bye|bye(?: bye| now)?|have a (?:nice|good|great|lovely) "
            r"(?:day|one|evening|weekend)|see you(?: later| then)?|talk to you later|take care)\b"
            # "Good-by" is how some recognisers spell it; "good by me" is none.
            r"|\b(?:good ?bye?|bye bye|bye)$"
        ),
    ),
    (
        Reflex.THANKS,
        re.compile(
            r"^(?:(?:ok|okay|oh|alright|great|good|perfect|and) )*(?:thank you|thanks|cheers)"
            r"(?: so much| very much| a lot| for that)?$"
        ),
    ),
    (Reflex.HOW_ARE_YOU, re.compile(rf"{_LEAD}how are you(?: doing)?(?: today)?$")),
    (
        Reflex.GREETING,
        re.compile(
            r"^(?:(?:hi|hello|hey|good (?:morning|afternoon|evening))(?: there| hello)?)+"
            r"(?: can you hear me| (?:is )?anybody there| are you there)?$"
            r"|^(?:are you there|can you hear me)$"
        ),
    ),
)

_CLOSING = re.compile(
    r"^(?:no |nope |okay |ok |great |alright )*(?:that is|that will be|that would be)"
    r" (?:all|it|everything)\b"
    r"|\bnothing else\b|\bi am (?:all set|done|good)\b|^no thank(?:s| you)\b"
    r"|^no i am (?:good|fine)\b"
)


def reflex(text: str) -> Reflex | None:
    """Return the reaction that `text` calls for, or None."""
    plain = normal(text)
    return next((kind for kind, pattern in _PATTERNS if pattern.search(plain)), None)


def is_closing(text: str) -> bool:
    """Return whether `text` says that the caller needs nothing more ("no, that's all")."""
    return bool(_CLOSING.search(normal(text)))
