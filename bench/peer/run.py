"""One run: a product is started, warmed by a call, talked to by several callers at once, judged."""

from __future__ import annotations

import asyncio
import gc
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.peer.product import Processes, Product, Setup, Start
from bench.peer.script import Gate, Talk
from bench.peer.speech import Phrasebook
from bench.peer.stage import Journal, medians
from bench.peer.turn import Judged, judge, shared_tones
from bench.peer.vendors import running_vendors
from bench.usage import Meter, Reading, read

START_EVERY_S = 0.6
"""Calls come one after the other; what a start costs those that talk already is part of it."""
SETTLE_S = 4.0
WARMING_CALLS = 3
"""A product that has just started may refuse the first."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured.

    Attributes:
        product: what the table calls it.
        message_ms: bot audio per message; caller audio per message is `caller_message_ms`.
    """

    product: str
    start: Start
    calls: int
    stt_final_ms: int
    message_ms: int
    caller_message_ms: int = 20
    turns: int = 3
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a product took, over all its processes.

    Attributes:
        cpu_percent: of one core, by role, while all calls talked.
        idle_mb: USS, PSS and RSS before any call but the warming one; so `live_mb`, with all calls
            up, and `after_mb`, when all are over.
    """

    cpu_percent: dict[str, float]
    idle_mb: dict[str, float]
    live_mb: dict[str, float]
    after_mb: dict[str, float]


@dataclass(frozen=True, slots=True)
class Result:
    """One run's figures; times in ms."""

    case: Case
    calls: tuple[Judged, ...]
    stages: dict[str, float]
    raw_stages: tuple[dict[str, float], ...]
    strangers: int
    asked: int
    """How often the model was asked, warming calls included."""
    cost: Cost
    fixed_ms: int

    def mouth_to_ear_ms(self, *kinds: str) -> list[float]:
        """Return the turns' mouth-to-ear times, of all kinds or of those named."""
        return [
            1000 * turn.mouth_to_ear_s
            for call in self.calls
            for turn in call.turns
            if turn.mouth_to_ear_s is not None and (not kinds or turn.utterance.kind in kinds)
        ]

    @property
    def overhead_ms(self) -> list[float]:
        """What of each turn on a sentence said in one go was not the vendors'."""
        ends = self.mouth_to_ear_ms("plain", "interrupt")
        return [each - self.fixed_ms for each in ends]

    def greeting_ms(self, *, early: bool) -> list[float]:
        """Return the times from the answer to the greeting."""
        return [
            1000 * call.greeting_s
            for call in self.calls
            if call.greeting_s is not None and call.recording.early == early
        ]

    @property
    def barge_in_ms(self) -> list[float]:
        """Return how long bots went on talking."""
        return [
            1000 * turn.barge_in_s
            for call in self.calls
            for turn in call.turns
            if turn.barge_in_s is not None and turn.utterance.kind == "protest"
        ]

    @property
    def underruns_a_minute(self) -> tuple[float, float]:
        """Return the gaps heard per minute of bot speech, without and with a jitter buffer."""
        minutes = sum(call.speech_s for call in self.calls) / 60
        if not minutes:
            return 0.0, 0.0
        counted = [
            sum(call.recording.underruns[index] for call in self.calls) / minutes
            for index in (0, 1)
        ]
        return counted[0], counted[1]

    @property
    def late_ms(self) -> list[float]:
        """Return for each message how late it was for a phone without a jitter buffer."""
        return [1000 * late for call in self.calls for late in call.recording.late_s]

    def mb_per_call(self, kind: str) -> float:
        """Return what a live call holds: `uss`, `pss` or `rss`."""
        return (self.cost.live_mb[kind] - self.cost.idle_mb[kind]) / max(1, len(self.calls))

    def mb_left_per_call(self, kind: str) -> float:
        """Return what a finished call leaves behind."""
        return (self.cost.after_mb[kind] - self.cost.idle_mb[kind]) / max(1, len(self.calls))

    @property
    def problems(self) -> list[str]:
        """Return why calls failed, if any did."""
        return [call.recording.problem for call in self.calls if call.recording.problem]

    @property
    def cpu_per_call(self) -> float:
        """Return the product's share of a core per call."""
        return sum(self.cost.cpu_percent.values()) / max(1, len(self.calls))

    def count(self, kind: str) -> int:
        """Return how many utterances of a kind were said."""
        return sum(turn.utterance.kind == kind for call in self.calls for turn in call.turns)

    def false_ends(self, *, hesitant: bool) -> int:
        """Return at how many utterances the bot began to talk too early."""
        return sum(
            turn.false_end
            for call in self.calls
            for turn in call.turns
            if (turn.utterance.kind == "hesitant") == hesitant
        )

    @property
    def unanswered(self) -> int:
        """Return how many utterances got no answer."""
        return sum(call.unanswered for call in self.calls)

    @property
    def wrong_tones(self) -> int:
        """Return how many answers were another call's."""
        return (
            self.strangers + sum(call.foreign for call in self.calls) + shared_tones([*self.calls])
        )

    def to_json(self) -> dict[str, Any]:
        """Return everything, raw samples included, without waveforms."""
        case = {name: value for name, value in asdict(self.case).items() if name not in ("start",)}
        calls = []
        for call in self.calls:
            recording = asdict(call.recording)
            del recording["heard"], recording["utterances"]
            late_s = recording.pop("late_s")
            recording["late_ms"] = [round(1000 * late, 1) for late in late_s if late > 0]
            recording["messages"] = len(late_s)
            turns = [{**asdict(turn), "mouth_to_ear_s": turn.mouth_to_ear_s} for turn in call.turns]
            calls.append({**asdict(call), "recording": recording, "turns": turns})
        return {
            "case": case,
            "fixed_ms": self.fixed_ms,
            "stages_ms": self.stages,
            "stage_samples_ms": self.raw_stages,
            "wrong_tones": self.wrong_tones,
            "unanswered": self.unanswered,
            "asked": self.asked,
            "cost": asdict(self.cost),
            "calls": calls,
        }


async def run(case: Case, phrases: Phrasebook, tell: Callable[[str], object]) -> Result:
    """Measure one case from start to end."""
    with tempfile.TemporaryDirectory(prefix="peer-") as folder:
        journal = Path(folder, "journal.jsonl")
        async with running_vendors(case.stt_final_ms, journal) as vendors:
            tell("starting")
            setup = Setup(vendors, case.message_ms, case.config)
            async with case.start(setup) as product:
                tell("warming")
                await _warm(product, phrases, case)
                calls, cost = await _talk(product, phrases, case, tell)
        return _judge(case, calls, cost, Journal.read(journal), vendors.fixed_ms)


async def _warm(product: Product, phrases: Phrasebook, case: Case) -> None:
    talk = Talk(
        product.url, product.line, phrases, turns=1, message_ms=case.caller_message_ms, seed=1
    )
    for _ in range(WARMING_CALLS):
        recording = await talk.hold(0, early=False, greeted=Gate(1), done=Gate(1))
        # Until whatever the call left behind is gone and what serves the next one is warm.
        await asyncio.sleep(SETTLE_S)
        if not recording.problem:
            return
    raise ConnectionError(f"{case.product} does not take calls: {recording.problem}")


async def _talk(
    product: Product, phrases: Phrasebook, case: Case, tell: Callable[[str], object]
) -> tuple[list[Judged], Cost]:
    idle = _memory(product.processes)
    talk = Talk(
        product.url, product.line, phrases, turns=case.turns, message_ms=case.caller_message_ms
    )
    greeted, done = Gate(case.calls), Gate(case.calls, held=True)
    gc.collect()
    gc.freeze()
    tell("calling")
    tasks = []
    for number in range(case.calls):
        early = product.rings and number % 2 == 0
        tasks.append(
            asyncio.create_task(talk.hold(number, early=early, greeted=greeted, done=done))
        )
        await asyncio.sleep(START_EVERY_S)
    await greeted.complete()
    meter = Meter(product.processes)
    await done.first()
    cpu_percent = meter.stop()
    await done.complete()
    live = _memory(product.processes)
    done.open()
    recordings = await asyncio.gather(*tasks)
    tell("settling")
    await asyncio.sleep(SETTLE_S)
    after = _memory(product.processes)
    tell("judging")
    judged = [judge(recording) for recording in recordings]
    return judged, Cost(cpu_percent, idle, live, after)


def _judge(case: Case, calls: list[Judged], cost: Cost, journal: Journal, fixed_ms: int) -> Result:
    splits, strangers = [], 0
    for call in calls:
        for turn in call.turns:
            if turn.utterance.kind in ("plain", "interrupt"):
                split = journal.split(call, turn)
                splits += [split] if split else []
            if turn.answered_s is not None and not journal.belongs(call, turn):
                strangers += 1
    stages, raw = medians(splits), tuple(splits)
    asked = journal.count("llm", "request")
    return Result(case, tuple(calls), stages, raw, strangers, asked, cost, fixed_ms)


def _memory(processes: Processes) -> dict[str, float]:
    total = Reading(0.0, 0.0, 0.0, 0.0)
    for held in processes().values():
        for process in held:
            one = read(process)
            total = Reading(
                0.0, total.rss_mb + one.rss_mb, total.pss_mb + one.pss_mb, total.uss_mb + one.uss_mb
            )
    return {"uss": total.uss_mb, "pss": total.pss_mb, "rss": total.rss_mb}
