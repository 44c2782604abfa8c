"""How long the caller waits for each answer, stage by stage, on the clock of the phone's leg.

Moments are noted where they happen, by speech; a speech becomes an answer when a caller's turn is
taken up for it. The turn is told once the answer is heard. Drafts that are thrown away, greetings
and prompts into silence answer nobody, and are forgotten.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.ear import Ear
from agent.leg_clock import LegClock
from contracts.report import MOMENTS, TurnMeasured

_MAX_SPEECHES = 16
_MAX_FINALS = 8
_VOICE_SLACK_MS = 100.0
"""A voice detector is late, but may miss a soft last consonant."""
_VOICE_LATE_MS = 700.0
"""Later than this it heard words that were too quiet for the energy to show."""
_CHAIN = (
    ("stt_ms", "stt_final_at_ms"),
    ("endpointing_ms", "decided_at_ms"),
    ("llm_ttft_ms", "first_output_at_ms"),
    ("clause_ms", "first_clause_at_ms"),
    ("tts_ttfb_ms", "first_audio_at_ms"),
    ("sending_ms", "sent_at_ms"),
    ("playback_ms", "played_at_ms"),
)
_NOTED = ("first_output", *(name.removesuffix("_at_ms") for name in MOMENTS[:-1]))
"""What an answer notes by itself; when it is played, the leg tells."""


@dataclass(slots=True)
class _Answer:
    """One speech in the making. Moments in seconds of the agent's clock, None until they come."""

    decided: float | None = None
    voice_ended: float | None = None
    stt_final: float | None = None
    requested: float | None = None
    first_output: float | None = None
    first_token: float | None = None
    first_clause: float | None = None
    first_audio: float | None = None
    sent: float | None = None
    tool_began: float | None = None
    tool_s: float = 0.0
    is_told: bool = False

    def end_tool(self, now: float) -> None:
        if self.tool_began is not None:
            self.tool_s += now - self.tool_began
            self.tool_began = None


class TurnClock:
    """Notes what becomes of each turn. `now` is the agent's clock, the one `leg` was shown."""

    def __init__(
        self,
        now: Callable[[], float],
        leg: LegClock,
        ear: Ear,
        tell: Callable[[TurnMeasured], None],
    ) -> None:
        self._now = now
        self._leg = leg
        self._ear = ear
        self._tell = tell
        self._turn = 0
        self._finals: deque[float] = deque(maxlen=_MAX_FINALS)
        self._answers: OrderedDict[str, _Answer] = OrderedDict()

    def transcribed(self) -> None:
        """The recogniser is sure of some words."""
        self._finals.append(self._now())

    def taken_up(self, speech: str, metrics: Mapping[str, Any], wall_s: float) -> None:
        """A caller's turn is answered by `speech`; with the framework's metrics, in wall time."""
        if not speech:
            return
        answer, now = self._answer(speech), self._now()
        ended_at, delay_s = metrics.get("stopped_speaking_at"), metrics.get("end_of_turn_delay")
        answer.decided = now
        if ended_at is not None:
            answer.voice_ended = now - (wall_s - ended_at)
            if delay_s is not None:
                answer.decided = min(now, answer.voice_ended + delay_s)
        finals = [at for at in self._finals if at <= answer.decided]
        answer.stt_final = finals[-1] if finals else None

    def belongs(self, speech: str, to: str) -> None:
        """A line that a tool of speech `to` says is part of that answer."""
        if speech and to in self._answers:
            self._answers[speech] = self._answers[to]

    def requested(self, speech: str) -> None:
        """The language model is asked, perhaps again with what tools returned."""
        answer, now = self._answer(speech), self._now()
        answer.end_tool(now)
        if answer.requested is None:
            answer.requested = now

    def token(self, speech: str) -> None:
        """Text came."""
        answer = self._answer(speech)
        if answer.first_token is None:
            answer.first_token = self._now()

    def tool_asked(self, speech: str) -> None:
        """The language model wants a tool."""
        answer, now = self._answer(speech), self._now()
        if answer.first_output is None:
            answer.first_output = now
        if answer.first_token is None and answer.tool_began is None:
            answer.tool_began = now

    def voiced(self, speech: str, given_s_ago: float | None) -> None:
        """The first audio came of text that the voice was given so long ago."""
        answer, now = self._answer(speech), self._now()
        if answer.first_audio is None:
            answer.first_audio = now
            if given_s_ago is not None:
                answer.first_clause = now - given_s_ago
            answer.end_tool(now if answer.first_clause is None else answer.first_clause)

    def sent(self, speech: str) -> None:
        """Its audio leaves for the bridge."""
        answer = self._answers.get(speech)
        if answer is not None and answer.sent is None:
            answer.sent = self._now()

    def heard(self, speech: str, played_ms: float, lead_in_ms: float) -> None:
        """The phone plays it: since `played_ms` of the leg's clock, after so much silence."""
        answer = self._answers.get(speech)
        if answer is None or answer.decided is None or answer.is_told:
            return
        answer.is_told = True
        self._turn += 1
        self._tell(self._measured(answer, played_ms, lead_in_ms))

    def _answer(self, speech: str) -> _Answer:
        if speech not in self._answers:
            self._answers[speech] = _Answer()
            if len(self._answers) > _MAX_SPEECHES:
                self._answers.popitem(last=False)
        return self._answers[speech]

    def _measured(self, answer: _Answer, played_ms: float, lead_in_ms: float) -> TurnMeasured:
        def on_leg(at: float | None) -> float | None:
            ms = None if at is None else self._leg.ms_at(at)
            return None if ms is None else min(ms, played_ms)

        known = {f"{name}_at_ms": on_leg(getattr(answer, name)) for name in _NOTED}
        known["played_at_ms"] = played_ms
        if known["first_token_at_ms"] is not None:
            known["first_output_at_ms"] = known["first_token_at_ms"]
        voice_ended_ms = on_leg(answer.voice_ended)
        end_ms = self._speech_end(known["decided_at_ms"], voice_ended_ms)
        detail = {}
        if end_ms is None:
            end_ms = voice_ended_ms
            detail = {"speech_end": "vad"} if end_ms is not None else {}
        times = _shares(known, end_ms, 1000 * answer.tool_s, lead_in_ms)
        if end_ms is not None:
            times["response_ms"] = max(0.0, played_ms + lead_in_ms - end_ms)
            times |= {name: ms - end_ms for name in MOMENTS if (ms := known[name]) is not None}
        now_ms = self._leg.ms_at(self._now())
        ago_ms = 0.0 if now_ms is None else max(0.0, now_ms - played_ms - lead_in_ms)
        return TurnMeasured(
            at=datetime.now(UTC) - timedelta(milliseconds=ago_ms),
            turn=self._turn,
            detail=detail,
            **{name: round(ms, 1) for name, ms in times.items()},
        )

    def _speech_end(self, decided_ms: float | None, voice_ended_ms: float | None) -> float | None:
        if decided_ms is None:
            return None
        if voice_ended_ms is None:
            return self._ear.speech_end(decided_ms)
        # A noise after the voice has ended is not the caller's words.
        end_ms = self._ear.speech_end(min(decided_ms, voice_ended_ms + _VOICE_SLACK_MS))
        if end_ms is not None and voice_ended_ms - end_ms > _VOICE_LATE_MS:
            return None
        return end_ms


def _shares(
    known: Mapping[str, float | None], end_ms: float | None, tool_ms: float, lead_in_ms: float
) -> dict[str, float]:
    """Return what each stage added to the wait since `end_ms`."""
    shares = {"lead_in_ms": lead_in_ms}
    reached_ms = end_ms
    before_tools = {"stt_ms", "endpointing_ms"}
    if known["first_token_at_ms"] is None:
        before_tools.add("llm_ttft_ms")
    for stage, moment in _CHAIN:
        at_ms = known[moment]
        if at_ms is None:
            continue
        if reached_ms is not None:
            share_ms = max(0.0, at_ms - reached_ms)
            if tool_ms > 0 and stage not in before_tools:
                part_ms = min(tool_ms, share_ms)
                shares["tool_ms"] = shares.get("tool_ms", 0.0) + part_ms
                tool_ms -= part_ms
                share_ms -= part_ms
            shares[stage] = share_ms
        reached_ms = at_ms if reached_ms is None else max(reached_ms, at_ms)
    return shares
