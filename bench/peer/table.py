"""What the runs showed, as tables: every run, where its turns' time went, and the targets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from bench.figure import figure
from bench.peer.run import Result
from bench.peer.stage import STAGES

OURS = "ours"
PEER = "pipecat"
BASE_STT_MS = 150
SLOW_STT_MS = 350
BASE_MESSAGE_MS = 20
NONE = "-"


@dataclass(frozen=True, slots=True)
class Row:
    """One target: both products' figure (p50 and p95, or the like), their ratio and the goal."""

    name: str
    peer: tuple[float, ...]
    ours: tuple[float, ...]
    target: str
    is_met: bool | None

    @property
    def ratio(self) -> str:
        """Return ours over theirs."""
        if not self.peer or not self.ours or not self.peer[0] or math.isnan(self.peer[0]):
            return NONE
        return f"{self.ours[0] / self.peer[0]:.2f}"


def spread(samples: Sequence[float], *shares: float) -> tuple[float, ...]:
    """Return percentiles of samples; NaN where there are none."""
    taken = figure("", "", samples)
    return tuple(taken.percentile(share) for share in shares)


def p50_p95(samples: Sequence[float]) -> tuple[float, ...]:
    """Return the two percentiles most figures are told by."""
    return spread(samples, 0.5, 0.95)


def targets(results: Sequence[Result]) -> list[Row]:
    """Return the rows of the design's table which these runs can fill."""
    rows = []
    for stt_ms, limit in ((BASE_STT_MS, 0.5), (SLOW_STT_MS, 0.9)):
        peer, ours = _pair(results, stt_ms)
        if peer and ours:
            theirs, own = p50_p95(peer.overhead_ms), p50_p95(ours.overhead_ms)
            met = own[0] <= limit * theirs[0]
            rows.append(
                Row(
                    f"turn overhead, STT final {stt_ms} ms, {peer.case.calls} calls: p50/p95 ms",
                    theirs,
                    own,
                    f"≤ {limit} x",
                    met,
                )
            )
    peer, ours = _pair(results, BASE_STT_MS)
    if not peer or not ours:
        return rows
    rows += _caller_rows(peer, ours)
    rows += _cost_rows(results, peer, ours)
    return rows


def _caller_rows(peer: Result, ours: Result) -> list[Row]:
    theirs = p50_p95(peer.greeting_ms(early=False))
    rows = []
    for name, early in (("first message is the answer", False), ("joined while ringing", True)):
        own = p50_p95(ours.greeting_ms(early=early))
        met = own[0] <= 100 and own[1] <= 200
        rows.append(Row(f"answer → greeting, {name}: p50/p95 ms", theirs, own, "≤ 100/200", met))
    theirs, own = p50_p95(peer.barge_in_ms), p50_p95(ours.barge_in_ms)
    met = own[0] <= 250 and own[1] <= 300
    rows.append(Row("voice → bot silent: p50/p95 ms", theirs, own, "≤ 250/300", met))
    theirs, own = peer.underruns_a_minute, ours.underruns_a_minute
    met = own[0] <= 1 and own[1] <= 0
    name = f"underruns a minute, {ours.case.calls} calls (no / 100 ms jitter buffer)"
    rows.append(Row(name, theirs, own, "≤ 1 / 0", met))
    theirs = (float(peer.false_ends(hesitant=True)), float(peer.count("hesitant")))
    own = (float(ours.false_ends(hesitant=True)), float(ours.count("hesitant")))
    met = own[0] < theirs[0] or own[0] == 0
    rows.append(Row("answered inside a hesitation: turns / of", theirs, own, "fewer", met))
    return rows


def _cost_rows(results: Sequence[Result], peer: Result, ours: Result) -> list[Row]:
    cpu = (peer.cpu_per_call, ours.cpu_per_call)
    name = f"CPU per call, {ours.case.calls} calls: % of a core"
    rows = [Row(name, (cpu[0],), (cpu[1],), "≤ 1.0 x", cpu[1] <= cpu[0])]
    most_theirs, most = _pair(results, BASE_STT_MS, most=True)
    if most_theirs and most:
        late = [spread(each.late_ms, 0.99, 1.0) for each in (most_theirs, most)]
        dropped = most.unanswered + len(most.problems)
        met = late[1][0] < 20 and not dropped if most.case.calls >= 16 else None
        name = f"message lateness at {most.case.calls} calls: p99/worst ms"
        rows.append(Row(name, late[0], late[1], "< 20 at ≥ 16 calls", met))
    for kind, most_mb, why in (("uss", 75, "own job"), ("pss", 50, "shared process")):
        live = [each.mb_per_call(kind) for each in (peer, ours)]
        left = [each.mb_left_per_call(kind) for each in (peer, ours)]
        name = f"{kind.upper()} per live call / left by each: MB"
        target = f"≤ {most_mb} ({why})"
        met = live[1] <= most_mb
        rows.append(Row(name, (live[0], left[0]), (live[1], left[1]), target, met))
    return rows


def _pair(
    results: Sequence[Result], stt_ms: int, *, most: bool = False
) -> tuple[Result | None, Result | None]:
    """Return both products' runs at the same number of calls: 8 or nearest below, or the most."""
    found = {
        (result.case.product, result.case.calls): result
        for result in results
        if (result.case.stt_final_ms, result.case.message_ms) == (stt_ms, BASE_MESSAGE_MS)
    }
    shared = sorted(calls for name, calls in found if name == OURS and (PEER, calls) in found)
    if not shared:
        return None, None
    usual = [calls for calls in shared if calls <= 8]
    calls = shared[-1] if most or not usual else usual[-1]
    return found[PEER, calls], found[OURS, calls]


def targets_table(rows: Sequence[Row]) -> Table:
    """Return the design's table."""
    table = Table(title="Targets")
    for heading in ("figure", "Pipecat", "ours", "ratio", "target", ""):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    for row in rows:
        verdict = "" if row.is_met is None else "met" if row.is_met else "[red]missed[/]"
        table.add_row(
            row.name, _figures(row.peer), _figures(row.ours), row.ratio, row.target, verdict
        )
    return table


def latency_table(results: Sequence[Result]) -> Table:
    """Return how fast every run was."""
    headings = ("mouth to ear", "overhead", "greeted early", "greeted at once", "barge-in")
    table = _table("Latency (ms, p50/p95)", headings)
    for each in results:
        told = (
            each.mouth_to_ear_ms("plain", "interrupt"),
            each.overhead_ms,
            each.greeting_ms(early=True),
            each.greeting_ms(early=False),
            each.barge_in_ms,
        )
        table.add_row(*_setting(each), *(_figures(p50_p95(samples)) for samples in told))
    return table


def quality_table(results: Sequence[Result]) -> Table:
    """Return what every run cost, and what went wrong in it.

    Underruns are those a minute without and with a jitter buffer; turns answered too early are
    those of sentences said in one go, and of hesitant ones.
    """
    headings = (
        "underruns", "late p99 ms", "CPU %/call", "MB/call", "MB left", "too early", "hesitant",
        "no answer", "wrong tone",
    )  # fmt: skip
    table = _table("Quality and cost", headings)
    for each in results:
        table.add_row(
            *_setting(each),
            _figures(each.underruns_a_minute),
            _figures(spread(each.late_ms, 0.99)),
            f"{each.cpu_per_call:.1f}",
            f"{each.mb_per_call('pss'):.0f}",
            f"{each.mb_left_per_call('pss'):.0f}",
            str(each.false_ends(hesitant=False)),
            f"{each.false_ends(hesitant=True)}/{each.count('hesitant')}",
            str(each.unanswered),
            str(each.wrong_tones),
        )
    return table


def stages_table(results: Sequence[Result]) -> Table:
    """Return where a turn's time went, in medians."""
    table = _table("A turn's stages (ms, medians)", STAGES)
    for each in results:
        split = [f"{each.stages[stage]:.0f}" if each.stages else NONE for stage in STAGES]
        table.add_row(*_setting(each), *split)
    return table


def costs_table(results: Sequence[Result]) -> Table:
    """Return what each kind of process took, in % of a core per call."""
    roles = sorted({role for each in results for role in each.cost.cpu_percent})
    table = _table("CPU by process (% of a core per call)", roles)
    for each in results:
        shares = [each.cost.cpu_percent.get(role) for role in roles]
        calls = max(1, len(each.calls))
        told = ["" if share is None else f"{share / calls:.1f}" for share in shares]
        table.add_row(*_setting(each), *told)
    return table


def _table(title: str, headings: Sequence[str]) -> Table:
    table = Table(title=title)
    for heading in ("product", "calls", "STT", "message", *headings):
        table.add_column(heading, justify="left" if heading == "product" else "right")
    return table


def _setting(result: Result) -> list[str]:
    case = result.case
    return [case.product, *map(str, (case.calls, case.stt_final_ms, case.message_ms))]


def _figures(values: Sequence[float]) -> str:
    if not values or math.isnan(values[0]):
        return NONE
    return "/".join(f"{value:.0f}" if abs(value) >= 20 else f"{value:.1f}" for value in values)
