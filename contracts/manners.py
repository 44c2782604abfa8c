"""How a bot behaves on the line: everything that can be set, with what a telephone call needs."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from contracts.open import Open

Phrase = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
"""A few words as one says them; case, punctuation and letters held long make no difference."""
Phrases = Annotated[list[Phrase], Field(max_length=200)]
LanguageCode = Annotated[str, StringConstraints(to_lower=True, pattern=r"^[A-Za-z]{2,3}$")]
"""ISO 639, without a region: `hi`."""


class ReEngagement(Open):
    """What to say into silence, one after the other, and how long to wait before each (ours)."""

    messages: list[str] = Field(default_factory=list, max_length=20)
    """Empty: "Are you still there?" in the bot's language."""
    after_seconds: float = Field(default=8.0, gt=0, le=120)


class OpeningGuard(Open):
    """The opening line goes on under "hello?" and "haan ji" (ours)."""

    enabled: bool = True


class Backchannels(Open):
    """Words that only say "I am listening": they neither cut the bot off nor are a turn, unless
    they answer a question (ours)."""

    enabled: bool = True
    phrases: Phrases = Field(default_factory=list)
    """Others than the usual ones, in English, Hindi and Hinglish."""


class HighIntent(Open):
    """Phrases that cut the bot off however short they are (ours)."""

    enabled: bool = True
    phrases: Phrases = Field(default_factory=list)
    """Others than the usual ones, in English, Hindi and Hinglish."""


class FalseInterruption(Open):
    """A voice pauses the bot; where no words worth it follow, the bot goes on (ours)."""

    enabled: bool = True
    """Off: any voice cuts off a line of which something was heard."""
    resume_after_s: float = Field(default=0.4, ge=0.1, le=5)
    """Silence after the voice."""
    longest_pause_s: float = Field(default=4.0, ge=0, le=60)
    """The bot goes on after so long under a voice that says no word: a television; 0: never."""

    @model_validator(mode="after")
    def _resumes_before_it_insists(self) -> Self:
        # The longer one counts from the voice's beginning, the shorter one from its end.
        if 0 < self.longest_pause_s <= self.resume_after_s:
            raise ValueError(
                f"resume_after_s ({self.resume_after_s:g}) must be less than longest_pause_s "
                f"({self.longest_pause_s:g}): the bot would always go on before it"
            )
        return self


class LoopBreaker(Open):
    """A bot that is cut off again and again gets to finish a short answer (ours)."""

    enabled: bool = True
    after: int = Field(default=3, ge=1, le=20)
    """So many lines in a row were cut off."""
    guard_s: float = Field(default=6.0, gt=0, le=30)
    """So much of the next one only a high-intent phrase cuts off."""


class Filler(Open):
    """A few words into the wait for an answer that takes long (ours)."""

    enabled: bool = True
    after_s: float = Field(default=1.2, ge=0.3, le=10)
    """How long the caller waits for the first."""
    repeat_after_s: float = Field(default=6.0, ge=1, le=60)
    """And for the next, where the answer takes that long: a tool is at work."""
    at_most: int = Field(default=3, ge=1, le=20)
    """For one turn of the caller's."""
    phrases: Phrases = Field(default_factory=list)
    """Said in turn; empty: the usual ones in the bot's language, none where there are none."""


class Closure(Open):
    """Words that end a call without the model's doing (ours)."""

    bot_enabled: bool = True
    """Whether a line of the bot's that ends with a goodbye, once it was heard, ends the call."""
    bot_phrases: Phrases = Field(default_factory=list)
    """Other goodbyes than the usual ones."""
    wait_s: float = Field(default=2.0, ge=0.5, le=30)
    """How long the caller may still speak up."""
    caller_enabled: bool = False
    """Whether a turn of the caller's that is a goodbye and nothing else has the bot say
    `closing_message` and hang up."""
    caller_phrases: Phrases = Field(default_factory=list)
    """Other goodbyes than the usual ones."""


class Voice(Open):
    """What a language is spoken with (ours)."""

    voice: str = ""
    """Empty: the bot's own, of which the vendor makes the best."""
    language: str = ""
    """As the vendor has it; empty: the ISO code."""


class LanguageManners(Open):
    """Whether the bot follows a caller who speaks another language (ours)."""

    mode: Literal["free", "lock", "switch"] = "free"
    """The model may do as it likes; it is told to keep to the bot's language; or it is told which
    language the caller speaks, and so is the voice."""
    languages: list[LanguageCode] = Field(default_factory=list, max_length=30)
    """What `switch` may change to; empty: any."""
    voices: dict[LanguageCode, Voice] = Field(default_factory=dict)


class Manners(Open):
    """How the bot takes and leaves the floor (ours)."""

    opening: OpeningGuard = Field(default_factory=OpeningGuard)
    backchannel: Backchannels = Field(default_factory=Backchannels)
    high_intent: HighIntent = Field(default_factory=HighIntent)
    false_interruption: FalseInterruption = Field(default_factory=FalseInterruption)
    loop: LoopBreaker = Field(default_factory=LoopBreaker)
    filler: Filler = Field(default_factory=Filler)
    closure: Closure = Field(default_factory=Closure)
    language: LanguageManners = Field(default_factory=LanguageManners)
