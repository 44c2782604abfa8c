"""What is found, and how well it answers: the same on both databases."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.clock import utc_now
from sidecar.knowledge import Knowledge
from sidecar.reader import Passage
from sidecar.search import Found, merit, weight
from sidecar.store import knowledge as store
from sidecar.store.database import Database
from sidecar.store.knowledge import ChunkRow
from sidecar.terms import terms

FACTS = (
    "We are open from Monday to Friday, 9 am to 6 pm, and closed on public holidays.",
    "Booking an appointment costs nothing. Appointments can be cancelled up to 24 hours before.",
    "A dental cleaning costs ₹1,500, a filling ₹2,000. Children pay half.",
    "Parking is free behind the surgery. The nearest underground station is City Park.",
    "हमारा क्लिनिक सोमवार से शुक्रवार सुबह नौ बजे से शाम छह बजे तक खुला रहता है।",
    "दाँतों की सफाई की कीमत १,५०० रुपये है। बच्चों के लिए आधी कीमत लगती है।",
    "बीमा पॉलिसियों की जानकारी के लिए हमारे कार्यालय से संपर्क करें।",
)


async def as_lines(_: str, data: bytes) -> list[Passage]:
    """Take each line for a passage."""
    lines = data.decode().splitlines()
    return [Passage(line, " ".join(terms(line))) for line in lines]


async def filled(
    knowledge: Knowledge, lines: Sequence[str] = FACTS, *, tenant_id: str = "default"
) -> str:
    """Return a knowledge base with one document."""
    kb_id = (await knowledge.make(tenant_id, "Surgery", "")).kb_id
    await knowledge.take(tenant_id, kb_id, "faq.txt", "\n".join(lines).encode())
    return kb_id


@pytest.fixture
def knowledge(database: Database) -> Knowledge:
    return Knowledge(database, utc_now, as_lines)


async def find(
    knowledge: Knowledge,
    kb_ids: Sequence[str],
    question: str,
    *,
    tenant_id: str = "default",
    top_k: int = 4,
    threshold: float = 0.0,
) -> list[Found]:
    return await knowledge.search(tenant_id, kb_ids, question, top_k=top_k, threshold=threshold)


class _Lost(Exception):
    pass


async def test_document_given_up_half_way_is_not_found(
    knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_id = await filled(knowledge, ["Parking is free."])
    add = store.add_chunks
    batches: list[int] = []

    async def break_off(
        connection: AsyncConnection, tenant_id: str, rows: Sequence[ChunkRow]
    ) -> None:
        batches.append(len(rows))
        if len(batches) == 2:
            raise _Lost
        await add(connection, tenant_id, rows)

    monkeypatch.setattr(store, "add_chunks", break_off)
    kb_id = (await knowledge.make("default", "Surgery", "")).kb_id
    with pytest.raises(_Lost):
        await knowledge.take("default", kb_id, "old.txt", b"Parking costs much.\n" * 101)
    assert batches == [100, 1]
    found = await find(knowledge, [whole_id, kb_id], "parking")
    assert [each.chunk.text for each in found] == ["Parking is free."]


QUESTIONS = (
    ("When are you open on Fridays?", 0),
    ("Are you closed on a holiday?", 0),
    ("How do I cancel my appointment?", 1),
    ("appoint cancelling", 1),
    ("What does a filling cost?", 2),
    ("What do I get for 1500 rupees of cleaning?", 2),
    ("Where can I park?", 3),
    ("underground stations nearby", 3),
    ("शुक्रवार को क्लिनिक कब खुलता है?", 4),
    ("दांत की सफ़ाई की कीमतें क्या हैं", 5),
    ("बच्चे के लिए कीमत", 5),
    ("मेरी बीमा पॉलिसी की जानकारी", 6),
)


async def test_questions_find_their_answers_in_english_and_hindi(knowledge: Knowledge) -> None:
    kb_id = await filled(knowledge)
    for question, expected in QUESTIONS:
        found = await find(knowledge, [kb_id], question)
        assert found, question
        assert found[0].chunk.text == FACTS[expected], question
        assert all(0 < each.score <= 1 for each in found)


async def test_score_is_the_same_whichever_database_found_it(knowledge: Knowledge) -> None:
    kb_id = await filled(knowledge)
    expected = {
        "public holidays": [1.0],
        "open on the moon": [0.437],
        "dental appointments": [0.5, 0.5],
        "1500": [1.0, 1.0],
        "zebra": [],
        "the of and": [],
    }
    scores = {
        question: [each.score for each in await find(knowledge, [kb_id], question)]
        for question in expected
    }
    assert scores == expected


async def test_threshold_and_number_of_passages_are_kept(knowledge: Knowledge) -> None:
    kb_id = await filled(knowledge, [f"Room {number} has a window." for number in range(40)])
    assert len(await find(knowledge, [kb_id], "window", top_k=10)) == 10
    [one] = await find(knowledge, [kb_id], "room 17", threshold=0.9)
    assert one.chunk.text == "Room 17 has a window."
    assert one.chunk.filename == "faq.txt"
    assert await find(knowledge, [kb_id], "red room", threshold=0.9) == []


async def test_nobody_finds_what_is_another_tenants(knowledge: Knowledge) -> None:
    own, others = await filled(knowledge), await filled(knowledge, tenant_id="acme")
    assert len(await find(knowledge, [own, others], "parking")) == 1
    assert await find(knowledge, [others], "parking") == []
    assert len(await find(knowledge, [others], "parking", tenant_id="acme")) == 1
    assert await find(knowledge, ["kb_none", "') OR 1"], "parking") == []
    assert await find(knowledge, [], "parking") == []


async def test_base_that_is_retired_is_searched_no_more(knowledge: Knowledge) -> None:
    kb_id, other = await filled(knowledge), await filled(knowledge)
    await knowledge.change("default", kb_id, is_active=False)
    [found] = await find(knowledge, [kb_id, other], "parking")
    assert found.chunk.kb_id == other
    await knowledge.change("default", kb_id, is_active=True)
    assert len(await find(knowledge, [kb_id, other], "parking")) == 2


async def test_nothing_of_a_removed_document_is_left(
    knowledge: Knowledge, database: Database
) -> None:
    kb_id = await filled(knowledge, ["The password of the safe is xylophone."])
    kept = await knowledge.take("default", kb_id, "kept.txt", b"The safe is in the cellar.")
    gone, _ = await knowledge.documents("default", kb_id)
    await knowledge.remove("default", kb_id, gone.document_id)
    found = await find(knowledge, [kb_id], "xylophone safe")
    assert [each.chunk.document_id for each in found] == [kept.document_id]
    if database.is_sqlite:
        async with database.read() as connection:
            blocks = await connection.execute(text("select block from knowledge_index_data"))
            assert not any(b"xylophon" in block for (block,) in blocks)


@pytest.mark.parametrize(
    "question",
    ['"', "a* OR b", "scope:kb", "NEAR(a b)", "'; drop table calls; --", "🎉", "-", ":*"],
)
async def test_question_in_the_search_languages_is_only_words(
    knowledge: Knowledge, question: str
) -> None:
    kb_id = await filled(knowledge)
    assert all(each.score > 0 for each in await find(knowledge, [kb_id], question))


def test_rare_words_weigh_more() -> None:
    assert weight(100, 1) > weight(100, 50) > weight(100, 100) == 1.0
    assert weight(0, 0) == 1.0


def test_passage_that_has_it_more_densely_is_first_among_equals() -> None:
    weights = {"park": 2.0}
    often = merit(["park"] * 3 + ["x"] * 10, weights)
    once = merit(["park"] + ["x"] * 10, weights)
    assert often > once
    assert often[0] == once[0] == 1.0
    score, density = merit(["parking"], weights)
    assert (score, density) == (0.8, 2 * 0.8 / (0.8 + 1 + 1 / 150))
    assert merit(["x"], weights) == (0.0, 0.0)
