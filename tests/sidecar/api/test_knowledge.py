"""Knowledge bases over HTTP: made, filled, searched, emptied, retired; and asked by agents."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from contracts.knowledge import KnowledgeQuestion
from contracts.plan import Claim
from sidecar.access import new_key
from sidecar.client import Refused
from sidecar.clock import utc_now
from sidecar.denial import Denied
from sidecar.knowledge import FORGOTTEN, MAX_DOCUMENT_BYTES, MAX_WAITING_OF_ONE, Knowledge
from sidecar.reader import Passage
from sidecar.store import keys
from sidecar.store.database import Database
from tests.fakes.control_plane import ControlPlane
from tests.fakes.documents import docx, pdf
from tests.fakes.sidecar_app import SidecarApp

PATH = "/api/v1/knowledge-bases"
FAQ = b"# Prices\n\nA dental cleaning costs 1500 rupees.\n"


async def base(operator: httpx.AsyncClient, **wanted: Any) -> str:
    made = await operator.post(PATH, json={"name": "Surgery", **wanted})
    assert made.status_code == 201
    return f"{PATH}/{made.json()['kb_id']}"


async def upload(
    operator: httpx.AsyncClient, path: str, name: str = "faq.md", data: bytes = FAQ
) -> httpx.Response:
    return await operator.post(f"{path}/documents", params={"filename": name}, content=data)


async def test_base_is_made_changed_and_retired(sidecar: SidecarApp) -> None:
    async with sidecar.operator() as operator:
        path = await base(operator, description="Opening hours, prices")
        made = (await operator.get(path)).json()
        assert made["kb_id"].startswith("kb_")
        assert (made["name"], made["is_active"]) == ("Surgery", True)
        changed = await operator.put(path, json={"name": "Practice"})
        assert changed.json()["description"] == "Opening hours, prices"
        assert (await operator.delete(path)).status_code == 204
        [kept] = (await operator.get(PATH)).json()["knowledge_bases"]
        assert (kept["name"], kept["is_active"]) == ("Practice", False)
        assert (await operator.patch(path, json={"is_active": True})).json()["is_active"]


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "n", "kb_id": "mine"}])
async def test_what_is_no_base_is_refused(sidecar: SidecarApp, body: dict[str, Any]) -> None:
    async with sidecar.operator() as operator:
        assert (await operator.post(PATH, json=body)).status_code == 422


async def test_document_is_taken_found_and_removed(sidecar: SidecarApp) -> None:
    async with sidecar.operator() as operator:
        path = await base(operator)
        made = await upload(operator, path)
        document = made.json()
        assert (made.status_code, document["status"], document["error"]) == (201, "indexed", None)
        assert (document["chunk_count"], document["size_bytes"]) == (1, len(FAQ))
        assert (await operator.get(f"{path}/documents")).json() == {"documents": [document]}
        found = await operator.post(f"{path}/search", json={"query": "What is cleaning?"})
        [passage] = found.json()["passages"]
        assert passage["chunk_id"] == f"{document['document_id']}_chunk_0"
        assert passage["document"] == "faq.md"
        assert "1500 rupees" in passage["text"]
        at = f"{path}/documents/{document['document_id']}"
        assert (await operator.get(at)).json() == document
        assert (await operator.delete(at)).status_code == 204
        assert (await operator.delete(at)).status_code == 404
        assert (await operator.get(at)).status_code == 404
        found = await operator.post(f"{path}/search", json={"query": "cleaning"})
    assert found.json() == {"passages": []}


@pytest.mark.parametrize(
    ("name", "data"), [("a.pdf", pdf("Cleaning costs 1500.")), ("A.DOCX", docx("Cleaning: 1500"))]
)
async def test_form_is_taken_as_browsers_send_it(
    sidecar: SidecarApp, name: str, data: bytes
) -> None:
    async with sidecar.operator() as operator:
        path = await base(operator)
        form = {"file": (f"C:\\docs\\{name}", data)}
        made = await operator.post(f"{path}/documents", files=form)
        assert (made.json()["status"], made.json()["filename"]) == ("indexed", name)
        found = await operator.post(f"{path}/search", json={"query": "cleaning"})
        other = await operator.post(f"{path}/documents", files={"other": ("a.md", FAQ)})
    assert len(found.json()["passages"]) == 1
    assert other.status_code == 422


async def test_document_that_cannot_be_read_is_kept_as_failed(sidecar: SidecarApp) -> None:
    async with sidecar.operator() as operator:
        path = await base(operator)
        made = await upload(operator, path, "broken.pdf", b"nonsense")
        [listed] = (await operator.get(f"{path}/documents")).json()["documents"]
    assert (made.status_code, listed) == (201, made.json())
    assert (listed["status"], listed["error"]) == ("failed", "it is not a PDF that can be read")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("faq.exe", FAQ),
        ("faq", FAQ),
        ("", FAQ),
        ("a\nb.md", FAQ),
        ("faq.md", b""),
        ("faq.md", bytes(MAX_DOCUMENT_BYTES + 1)),
    ],
)
async def test_what_is_no_document_is_refused(sidecar: SidecarApp, name: str, data: bytes) -> None:
    async with sidecar.operator() as operator:
        path = await base(operator)
        refused = await upload(operator, path, name, data)
        listed = await operator.get(f"{path}/documents")
    assert refused.status_code == 422
    assert listed.json() == {"documents": []}


async def test_document_without_a_name_is_refused_by_the_field(sidecar: SidecarApp) -> None:
    async with sidecar.operator() as operator:
        path = f"{await base(operator)}/documents"
        nameless = await operator.post(path, content=FAQ)
        fileless = await operator.post(path, files={"other": ("faq.md", FAQ)})
    for refused, field in ((nameless, "filename"), (fileless, "file")):
        [error] = refused.json()["error"]["details"]["errors"]
        assert (refused.status_code, error["loc"]) == (422, [field])


async def test_upload_of_unknown_length_is_refused(sidecar: SidecarApp) -> None:
    async def endless() -> Any:
        yield FAQ

    async with sidecar.operator() as operator:
        path = await base(operator)
        params = {"filename": "faq.md"}
        refused = await operator.post(f"{path}/documents", params=params, content=endless())
    assert refused.status_code == 422


async def test_length_is_not_believed_of_what_comes_in_chunks(sidecar: SidecarApp) -> None:
    async with sidecar.operator() as operator:
        refused = await operator.post(
            f"{await base(operator)}/documents",
            params={"filename": "faq.md"},
            content=FAQ,
            headers={"Transfer-Encoding": "chunked", "Content-Length": str(len(FAQ))},
        )
    assert refused.status_code == 422


async def test_too_many_uploads_at_once_are_sent_away(sqlite: Database) -> None:
    knowledge = Knowledge(sqlite, utc_now)
    for _ in range(MAX_WAITING_OF_ONE):
        knowledge.admit("default")
    with pytest.raises(Denied, match="too many documents"):
        knowledge.admit("default")
    knowledge.admit("acme")
    with pytest.raises(Denied, match="too many documents"):
        knowledge.admit("other")
    knowledge.leave("default")
    knowledge.admit("other")


async def test_document_does_not_wait_behind_another_tenants(sqlite: Database) -> None:
    begun: list[bytes] = []
    is_held, over = asyncio.Event(), asyncio.Event()

    async def slowly(_: str, data: bytes) -> list[Passage]:
        begun.append(data)
        if data != b"small":
            is_held.set()
            await over.wait()
        return []

    knowledge = Knowledge(sqlite, utc_now, slowly)
    kb_ids = {who: (await knowledge.make(who, "x", "")).kb_id for who in ("acme", "other")}

    async def take(who: str, data: bytes) -> None:
        await knowledge.take(who, kb_ids[who], "x.txt", data)

    async with asyncio.TaskGroup() as hostile:
        hostile.create_task(take("acme", b"one"))
        hostile.create_task(take("acme", b"two"))
        async with asyncio.timeout(10):
            await is_held.wait()
            await take("other", b"small")
        assert sorted(begun) in ([b"one", b"small"], [b"small", b"two"])
        over.set()
    assert sorted(begun) == [b"one", b"small", b"two"]


async def test_document_whose_reader_has_died_is_failed_in_the_end(plane: ControlPlane) -> None:
    reading = asyncio.Event()

    async def for_ever(_: str, __: bytes) -> Any:
        reading.set()
        await asyncio.Event().wait()

    knowledge = Knowledge(plane.database, plane.clock, for_ever)
    kb_id = (await knowledge.make("default", "Surgery", "")).kb_id
    upload = asyncio.create_task(knowledge.take("default", kb_id, "faq.md", FAQ))
    await reading.wait()
    [row] = await knowledge.documents("default", kb_id)
    assert row.status == "indexing"
    plane.clock.advance(FORGOTTEN.total_seconds() + 1)
    [row] = await knowledge.documents("default", kb_id)
    assert (row.status, row.error) == ("failed", "reading it was interrupted; upload it again")
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload


async def test_everything_unknown_is_404_and_another_tenants_is_unknown(
    sidecar: SidecarApp, sqlite: Database
) -> None:
    text, row = new_key(
        "acme", "k", "Acme", bot_ids=[], is_admin=True, expires_at=None, at=utc_now()
    )
    async with sqlite.transaction() as connection:
        await keys.add(connection, row)
    async with sidecar.operator() as operator, sidecar.operator(text) as stranger:
        path = await base(operator)
        document = (await upload(operator, path)).json()
        assert (await stranger.get(PATH)).json() == {"knowledge_bases": []}
        for client, at in ((operator, f"{PATH}/kb_none"), (stranger, path)):
            for response in (
                await client.get(at),
                await client.put(at, json={"name": "Mine"}),
                await client.delete(at),
                await client.post(f"{at}/search", json={"query": "cleaning"}),
                await client.get(f"{at}/documents"),
                await upload(client, at),
                await client.get(f"{at}/documents/{document['document_id']}"),
                await client.delete(f"{at}/documents/{document['document_id']}"),
            ):
                assert response.status_code == 404, response.request


async def test_only_administrators_may(sidecar: SidecarApp) -> None:
    async with sidecar.operator() as operator:
        path = await base(operator)
        made = await operator.post("/api/v1/api-keys", json={"name": "CRM"})
    async with sidecar.operator(made.json()["key"]) as integrator:
        for response in (
            await integrator.get(PATH),
            await integrator.post(PATH, json={"name": "n"}),
            await upload(integrator, path),
        ):
            assert response.status_code == 403


async def test_agent_is_answered_from_its_bots_bases_alone(plane: ControlPlane) -> None:
    knowledge = Knowledge(plane.database, plane.clock)
    mine, other = [await knowledge.make("default", name, "") for name in ("mine", "other")]
    for row, price in ((mine, b"1500"), (other, b"2000")):
        await knowledge.take("default", row.kb_id, "faq.md", b"Cleaning costs " + price)
    config = {"knowledge_enabled": True, "knowledge_kb_ids": [mine.kb_id]}
    await plane.ready(**config)
    call = await plane.plan()
    await plane.claim(call.call_id)
    asked = KnowledgeQuestion(incarnation=1, question="What does cleaning cost?")
    [passage] = (await knowledge.answer("default", call.call_id, asked)).passages
    assert (passage.text, passage.score) == ("Cleaning costs 1500", 1.0)
    for tenant_id, call_id, incarnation in (
        ("default", call.call_id, 2),
        ("default", "no-call", 1),
        ("acme", call.call_id, 1),
    ):
        stale = asked.model_copy(update={"incarnation": incarnation})
        with pytest.raises(Denied, match=r"stale_incarnation|call_unknown"):
            await knowledge.answer(tenant_id, call_id, stale)
    await plane.talk(call.call_id)
    await plane.end(call.call_id)
    with pytest.raises(Denied, match="call_ended"):
        await knowledge.answer("default", call.call_id, asked)


async def test_bot_without_knowledge_is_told_nothing(plane: ControlPlane) -> None:
    knowledge = Knowledge(plane.database, plane.clock)
    kb_id = (await knowledge.make("default", "mine", "")).kb_id
    await knowledge.take("default", kb_id, "faq.md", FAQ)
    await plane.ready(knowledge_enabled=False, knowledge_kb_ids=[kb_id])
    call = await plane.plan()
    asked = KnowledgeQuestion(incarnation=1, question="cleaning")
    assert (await knowledge.answer("default", call.call_id, asked)).passages == []


async def test_services_secret_is_wanted_of_agents(sidecar: SidecarApp) -> None:
    asked = KnowledgeQuestion(incarnation=1, question="q")
    path = "/internal/v1/calls/x/knowledge"
    async with sidecar.http() as anybody:
        assert (await anybody.post(path, content=asked.model_dump_json())).status_code == 403
    async with sidecar.service() as service:
        with pytest.raises(Refused) as refused:
            await service.search_knowledge("x", asked)
        assert refused.value.code == "call_unknown"
        with pytest.raises(Refused):
            await service.claim("x", Claim(incarnation=1, worker_id="w1"))


async def test_bot_is_saved_only_with_bases_that_exist(sidecar: SidecarApp) -> None:
    async with sidecar.operator() as operator:
        kb_id = (await base(operator)).rpartition("/")[2]
        config = {"bot_id": "desk", "knowledge_enabled": True, "knowledge_kb_ids": [kb_id, "kb_x"]}
        refused = await operator.post("/api/v1/bots", json=config)
        [error] = refused.json()["error"]["details"]["errors"]
        assert (refused.status_code, error["loc"]) == (422, ["knowledge_kb_ids", 1])
        # What is switched off need not be in order.
        off = {**config, "knowledge_enabled": False}
        assert (await operator.post("/api/v1/bots", json=off)).status_code == 201
        fine = {**config, "knowledge_kb_ids": [kb_id]}
        assert (await operator.put("/api/v1/bots/desk", json=fine)).status_code == 200
