"""What a bot listens for in what callers say, whatever its brain: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.speech.phrase import match_phrase, normal

LIKE = 0.62
"""How alike a caller's words and a phrase must be: as for a brain of rules."""


def intents_in(text: str, phrases: Mapping[str, Sequence[str]]) -> list[tuple[str, float]]:
    """Return the intents in one turn of the caller's, in the bot's order, and how sure each is.

    Args:
        text: what the caller said.
        phrases: by intent, ways to put it.
    """
    found = (
        (name, max((_likeness(text, phrase) for phrase in ways), default=0.0))
        for name, ways in phrases.items()
    )
    return [(name, round(score, 2)) for name, score in found if score >= LIKE]


def _likeness(text: str, phrase: str) -> float:
    # Likeness is a matter of Latin letters; of other scripts the phrase itself is looked for.
    if normal(phrase):
        return match_phrase(text, phrase)
    wanted = phrase.strip().casefold()
    return 1.0 if wanted and wanted in text.casefold() else 0.0
