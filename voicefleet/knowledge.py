"""Knowledge as a person reads it: bases and documents in a line each, and what a search finds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from voicefleet.show import moment, table


def bases_table(bases: Iterable[Mapping[str, Any]]) -> Table:
    """Return a line for each knowledge base."""
    shown = table("knowledge base", "name", "searched", "changed")
    for each in bases:
        searched = "yes" if each["is_active"] else "no"
        shown.add_row(each["kb_id"], Text(each["name"]), searched, moment(each["updated_at"]))
    return shown


def documents_table(documents: Iterable[Mapping[str, Any]]) -> Table:
    """Return a line for each document, and why one that failed did."""
    shown = table("document", "file", "state", "passages", "why")
    for each in documents:
        state = Text(each["status"], style="red" if each["status"] == "failed" else "green")
        passages, why = str(each["chunk_count"]), Text(each["error"] or "")
        shown.add_row(each["document_id"], Text(each["filename"]), state, passages, why)
    return shown


def print_passages(console: Console, passages: Iterable[Mapping[str, Any]]) -> None:
    """Print what was found, the best first, each with its score."""
    nothing = True
    for each in passages:
        nothing = False
        head = f"{each['score']:.2f}  {each['document']}  {each['chunk_id']}"
        console.print(Text(head, style="bold"))
        console.print(Text(each["text"]))
        console.print()
    if nothing:
        console.print("Nothing was found.")
