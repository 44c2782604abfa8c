"""`python -m bench.answering`: who a call is taken for, and how long a person waits for that.

Spoken greetings of people and of machines (tests/vectors/greetings), through G.711 and put to the
detection as fast as they can be heard; their words come from the offline recogniser. The second
list was written after the thresholds and the phrases.
"""

from __future__ import annotations

from collections import Counter
from statistics import quantiles
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.machine import keep
from tests.fakes.greetings import Taken, is_silent, judge, listed

LISTS = ("spoken", "unseen")


def main() -> None:
    """Judge both lists, and show what came of them."""
    console = Console(width=100)
    path = keep("answering", {name: shown(name, console) for name in LISTS})
    console.print(f"samples: {path}")


def shown(name: str, console: Console) -> dict[str, Any]:
    """Judge a list and show it; return what is kept of it."""
    judged = [(by, text, judge(text)) for by, text in listed(name)]
    console.print(accuracy(name, [(by, taken) for by, _, taken in judged]))
    for by, text, taken in judged:
        if taken.by != by:
            console.print(f"{by} taken for {taken.by} ({taken.verdict.reason}): {text}")
        elif by != taken.verdict.by:
            console.print(f"{by} taken for {taken.verdict.by}, until it spoke: {text}")
    people = [taken for by, _, taken in judged if by == taken.by == "human"]
    waits_ms = sorted(1000 * waited_s(taken) for taken in people)
    cuts = quantiles(waits_ms, n=20, method="inclusive")
    console.print(
        "from the last sound of a person's greeting, or the answer, to the verdict: "
        f"p50 {cuts[9]:.0f} ms, p95 {cuts[18]:.0f} ms, longest {waits_ms[-1]:.0f} ms"
    )
    silent = sum(is_silent(taken.verdict) for taken in people)
    console.print(f"people who had said nothing by then: {silent}")
    return {
        "waits_ms": [round(wait) for wait in waits_ms],
        "verdicts": [
            {
                "by": by,
                "taken_for": taken.by,
                "first_for": taken.verdict.by,
                "reason": taken.verdict.reason,
            }
            for by, _, taken in judged
        ],
    }


def waited_s(taken: Taken) -> float:
    """Return how long a person waited for the opening: since they were done, or the answer."""
    return taken.verdict.at_s if is_silent(taken.verdict) else -taken.rest_s


def accuracy(name: str, judged: list[tuple[str, Taken]]) -> Table:
    """Return who was taken for whom."""
    table = Table("who takes the call", "greetings", "taken for", "beeps heard", title=name)
    for by, count in Counter(by for by, _ in judged).items():
        taken = [each for truth, each in judged if truth == by]
        verdicts = Counter(each.by for each in taken)
        beeps = sum(len(each.beeps) for each in taken)
        said = ", ".join(f"{name} {number}" for name, number in verdicts.most_common())
        table.add_row(by, str(count), said, str(beeps))
    return table


if __name__ == "__main__":
    main()
