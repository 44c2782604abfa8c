"""Whether a person or a machine took the call: what can be set."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from contracts.open import Open

AnsweredBy = Literal["human", "voicemail", "unavailable", "screening", "menu"]
"""Who takes a call that we placed.

A mailbox, an announcement that nobody can be reached, a service that asks who is calling, a menu
of keys; or somebody.
"""

Phrase = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=200)]


class MachineDetection(Open):
    """Detection of answering machines on calls that we placed (ours)."""

    enabled: bool | None = None
    """Whether the bot finds out who took a call before it speaks; None: where we have dialled.

    Of a call that somebody else has placed and handed over it is not known whether it was screened.
    """
    on_machine: Literal["message", "hang_up", "ignore"] = "message"
    """What a mailbox is told: `voicemail_message`, nothing, or what a person would be."""
    silence_s: float = Field(default=0.9, ge=0, le=10)
    """Whoever says nothing for so long after the answer is spoken to."""
    pause_s: float = Field(default=0.6, ge=0.2, le=3)
    """Silence after a short greeting that shows a person waiting for an answer."""
    long_pause_s: float = Field(default=0.8, ge=0.2, le=5)
    """The same after a longer one, and after words that a sentence follows ("this is Anna")."""
    short_greeting_s: float = Field(default=1.8, gt=0, le=10)
    long_greeting_s: float = Field(default=6.0, gt=0, le=30)
    """No person speaks for longer before the other side had a word, unless to give it the floor."""
    beep_wait_s: float = Field(default=25.0, ge=1, le=120)
    """How long a mailbox may take until it can be spoken to; then the call ends."""
    message_pause_s: float = Field(default=3.0, ge=1, le=15)
    """Silence after a mailbox's greeting that stands for a beep."""
    watch_s: float = Field(default=20.0, ge=0, le=120)
    """For how long after the answer somebody taken for a person may still prove a machine."""
    screening_message: str = ""
    """Who calls and why, for a service that asks it; empty: the opening message."""
    screening_wait_s: float = Field(default=30.0, ge=1, le=120)
    """How long somebody may take to come to the phone after that."""
    phrases: dict[AnsweredBy, list[Phrase]] = Field(default_factory=dict)
    """What gives each of them away, beside what the platform knows."""

    @model_validator(mode="after")
    def _short_is_shorter_than_long(self) -> Self:
        for short, long in (
            ("pause_s", "long_pause_s"),
            ("short_greeting_s", "long_greeting_s"),
        ):
            less, more = getattr(self, short), getattr(self, long)
            if less > more:
                raise ValueError(f"{short} ({less:g}) must be at most {long} ({more:g})")
        return self
