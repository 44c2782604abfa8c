"""How long each answer took: the framework's stage times of one turn put together as a fact."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from contracts.report import TurnMeasured

_USER_STAGES = {"endpointing_ms": "end_of_turn_delay", "stt_ms": "transcription_delay"}
_BOT_STAGES = {
    "response_ms": "e2e_latency",
    "llm_ttft_ms": "llm_node_ttft",
    "tts_ttfb_ms": "tts_node_ttfb",
    "playback_ms": "playback_latency",
}


class TurnClock:
    """Pairs a caller's turn with the answer to it.

    Greetings and prompts into silence answer nobody.
    """

    def __init__(self) -> None:
        self._turn = 0
        self._asked: Mapping[str, Any] | None = None

    def asked(self, metrics: Mapping[str, Any]) -> None:
        """A caller's turn was taken up, with the framework's metrics (seconds)."""
        self._asked = metrics

    def answered(self, metrics: Mapping[str, Any], at: datetime) -> TurnMeasured | None:
        """Return the turn's times once its answer was spoken; None if this line answers no turn."""
        if self._asked is None or "e2e_latency" not in metrics:
            return None
        asked, self._asked = self._asked, None
        self._turn += 1
        stages = {ours: _ms(asked.get(theirs)) for ours, theirs in _USER_STAGES.items()}
        stages |= {ours: _ms(metrics.get(theirs)) for ours, theirs in _BOT_STAGES.items()}
        return TurnMeasured(at=at, turn=self._turn, **stages)


def _ms(seconds: Any) -> float | None:
    return round(seconds * 1000, 1) if isinstance(seconds, int | float) else None
