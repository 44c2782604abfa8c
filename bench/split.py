"""Where a turn's milliseconds go: what the platform measured of each turn beside the waveform."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from rich.table import Table

from bench.figure import Figure, figure
from contracts.report import MOMENTS, STAGES

_PATIENCE_S = 20.0
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class SplitTurn:
    """One turn: the wait in the waveform, and the platform's own account of it, in ms."""

    waveform_ms: float
    measured: dict[str, Any]


async def measured_turns(api: httpx.AsyncClient, stream_id: str) -> list[dict[str, Any]]:
    """Wait for the end of the call a dialler named, and return what was measured of its turns."""
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            listed = (await api.get("/api/v1/calls", params={"limit": "500"})).json()["calls"]
            call = next((call for call in listed if call["stream_id"] == stream_id), None)
            if call is not None and call["state"] == "ended":
                break
            await asyncio.sleep(_POLL_S)
    result = (await api.get(f"/api/v1/calls/{call['call_id']}/result")).json()
    return list(result["latency_samples"])


def split_figures(turns: Sequence[SplitTurn]) -> list[Figure]:
    """Return the waveform's figure, the platform's, how far they are apart, and each stage."""
    told = [turn for turn in turns if turn.measured["response_ms"] is not None]
    apart = [turn.measured["response_ms"] - turn.waveform_ms for turn in told]
    return [
        figure("waveform", "ms", [turn.waveform_ms for turn in turns]),
        figure("response_ms", "ms", [turn.measured["response_ms"] for turn in told]),
        figure("response_ms less waveform", "ms", apart),
        *(figure(name, "ms", _known(turns, name)) for name in (*STAGES, *MOMENTS)),
    ]


def split_table(figures: Sequence[Figure]) -> Table:
    """Return medians and their spread as a table."""
    table = Table(title="Where a turn's milliseconds go")
    for heading in ("", "n", "p50", "p95", "p99", "max", "unit"):
        table.add_column(heading, justify="left" if heading == "" else "right")
    for each in figures:
        if each.samples:
            table.add_row(*each.row(), end_section=each.name in _SECTION_ENDS)
    return table


_SECTION_ENDS = ("response_ms less waveform", STAGES[-1])


def _known(turns: Sequence[SplitTurn], name: str) -> list[float]:
    return [turn.measured[name] for turn in turns if turn.measured.get(name) is not None]
