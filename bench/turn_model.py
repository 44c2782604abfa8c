"""`python -m bench.turn_model`: when a turn is taken for finished, by what was said.

Finished and unfinished sentences, spoken by the synthetic caller and followed by silence, are put
to the turn model as `agent.turn_end` puts them and as the framework would. Nothing is waited for.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from statistics import mean

import numpy as np
from livekit.agents.inference.eot.languages import LOCAL_LANGUAGES
from livekit.local_inference import EOT, EOT_MAX_SAMPLES
from rich.console import Console
from rich.table import Table

from agent.turn_end import LOOKS, Pcm, at_model_rate
from agent.vad import MODEL_RATE_HZ
from bench.machine import ROOT
from contracts.engines import TurnConfig
from voicefleet.caller_voice import speak

FINISHED = (
    "How much is a ticket?",
    "Where can I park my car?",
    "When are you open?",
    "I would like to book an appointment.",
    "Tuesday at three o'clock.",
    "My name is Robert.",
    "Yes please.",
    "No, thank you.",
    "Can you tell me the price of a return ticket?",
    "I need to change my appointment to Friday.",
    "Half past nine.",
    "It is about my invoice from last month.",
    "I already paid that last week.",
    "What time do you close on Saturdays?",
    "Two people.",
    "That is all, goodbye.",
)
UNFINISHED = (
    "I would like to book,",
    "My number is,",
    "Can you tell me,",
    "I need to change my appointment to,",
    "The thing is that,",
    "I wanted to ask whether,",
    "Well, the price of,",
    "On Tuesday, or maybe,",
    "My name is,",
    "It is about the invoice from,",
    "I think that I,",
    "Could you please,",
    "So what I need is,",
    "I am calling because my,",
    "Let me see, it was the,",
    "If you could send it to,",
)
VAD_LAG_S = 0.06
"""How much later than the sound the voice detector hears it end: these sentences' median."""
LOUD_PEAK = 300
FRAMEWORK_LOOK_S = 0.25
PAUSES_S = (0.3, 0.6, 1.0)
"""Silences inside a sentence, after which a caller might go on."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When it looks, in seconds of silence, and what convinces it then."""

    name: str
    looks: tuple[tuple[float, float], ...]

    def decided_s(self, probabilities: list[float], otherwise_s: float) -> float:
        """Return after which silence the turn is over."""
        for (look_s, threshold), probability in zip(self.looks, probabilities, strict=True):
            if probability >= threshold:
                return look_s
        return otherwise_s


def _rules(turn: TurnConfig) -> tuple[Rule, ...]:
    usual, first = LOCAL_LANGUAGES["en"], turn.min_delay_s
    ours = tuple((first + look_s, factor * usual) for look_s, factor in LOOKS)
    return (
        Rule("ours", ours),
        Rule("one look", ((FRAMEWORK_LOOK_S, usual),)),
    )


def _spoken(text: str) -> Pcm:
    """Return a sentence at the model's rate, up to its last sound."""
    pcm = speak(text, cache_path=ROOT / ".voicefleet" / "caller")
    samples = at_model_rate(pcm, 8000)
    return samples[: int(np.flatnonzero(np.abs(samples) > LOUD_PEAK)[-1]) + 1]


def _probability(model: EOT, spoken: Pcm, silence_s: float) -> float:
    silence = np.zeros(int((VAD_LAG_S + silence_s) * MODEL_RATE_HZ), np.int16)
    return model.predict(np.concatenate([spoken, silence])[-EOT_MAX_SAMPLES:])


def main() -> int:
    """Judge every sentence by every rule and print the table."""
    model, turn = EOT(), TurnConfig()
    table = Table(title="Silence before a turn is taken for finished")
    pauses = [f"over within {pause_s} s" for pause_s in PAUSES_S]
    for heading in ("sentences", "rule", "mean, s", *pauses):
        table.add_column(heading, justify="left" if heading in ("sentences", "rule") else "right")
    for name, texts in (("finished", FINISHED), ("unfinished", UNFINISHED)):
        spoken = [_spoken(text) for text in texts]
        for rule in _rules(turn):
            decided = [
                rule.decided_s(
                    [_probability(model, each, look_s) for look_s, _ in rule.looks],
                    turn.max_delay_s,
                )
                for each in spoken
            ]
            over = [
                f"{sum(s <= pause_s for s in decided)} of {len(decided)}" for pause_s in PAUSES_S
            ]
            table.add_row(name, rule.name, f"{mean(decided):.2f}", *over)
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
