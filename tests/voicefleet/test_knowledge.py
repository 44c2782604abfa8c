"""`voicefleet knowledge`: what it asks the sidecar for, and what a person then reads."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from rich.console import Console

from sidecar.store.database import Database
from tests.fakes.sidecar_app import running_app
from voicefleet.api import ApiError, SidecarApi
from voicefleet.knowledge import bases_table, documents_table, print_passages


def printed(*things: object) -> str:
    console = Console(width=200)
    with console.capture() as captured:
        for thing in things:
            console.print(thing)
    return captured.get()


async def test_documents_are_added_and_searched(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/voicefleet.db")
    async with running_app(database, tmp_path) as app:
        transport = httpx.ASGITransport(app.app)
        async with SidecarApi("http://sidecar", "admin", transport) as api:
            kb_id = (await api.make_knowledge_base("Surgery [1]"))["kb_id"]
            await api.add_document(kb_id, "faq.md", b"Parking is [b]free[/b].")
            await api.add_document(kb_id, "bad.pdf", b"nonsense")
            bases, documents = await api.knowledge_bases(), await api.documents(kb_id)
            found = await api.search_knowledge(kb_id, "where to park")
            with pytest.raises(ApiError):
                await api.add_document(kb_id, "bad.exe", b"nonsense")
    await database.aclose()
    assert kb_id in printed(bases_table(bases))
    assert "Surgery [1]" in printed(bases_table(bases))
    shown = printed(documents_table(documents))
    assert "indexed" in shown
    assert "it is not a PDF that can be read" in shown
    console = Console(width=200)
    with console.capture() as captured:
        print_passages(console, found)
        print_passages(console, [])
    assert "Parking is [b]free[/b]." in captured.get()
    assert captured.get().rstrip().endswith("Nothing was found.")
