"""The table in docs/providers.md: every field, by vendor, with what proves that it arrives.

`python -m tests.agent.vendor.table` writes it anew; a test compares.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from tests.agent.vendor.proof import AS_GIVEN, Proof, Unsent, shown

PAGE = Path(__file__).parents[3] / "docs" / "providers.md"
BEGIN = "<!-- made by `python -m tests.agent.vendor.table` -->"
END = "<!-- end -->"


def proofs() -> list[Proof]:
    """Return every vendor's proofs, those of a vendor together."""
    found = [proof for module in _modules() for proof in getattr(module, "PROOFS", [])]
    return sorted(found, key=_place)


def unsent() -> list[Unsent]:
    """Return the fields that need no proof, with the reasons."""
    return [each for module in _modules() for each in getattr(module, "UNSENT", [])]


def table() -> str:
    """Return the table in Markdown."""
    rows = ["| `provider` | field | for example | on the wire |", "| --- | --- | --- | --- |"]
    for proof in proofs():
        value = "an address" if proof.value is AS_GIVEN else f"`{shown(proof.value)}`"
        rows.append(f"| `{proof.vendor}` | `{proof.field}` | {value} | {proof.wire} |")
    for each in sorted(unsent(), key=_place):
        rows.append(f"| `{each.vendor}` | `{each.field}` | | not sent: {each.why} |")
    return "\n".join(rows)


def with_table(page: str) -> str:
    """Return the page with the table in its place."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE} has lost its marks")
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def _modules() -> list[object]:
    names = sorted(path.stem for path in Path(__file__).parent.glob("test_*.py"))
    return [import_module(f"tests.agent.vendor.{name}") for name in names if name != "test_table"]


def _place(each: Proof | Unsent) -> tuple[int, str]:
    order = ["stt", "llm", "prompt_parts", "tts", "realtime"]
    return order.index(each.field.partition(".")[0]), each.vendor


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
