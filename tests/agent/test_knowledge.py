"""`search_knowledge`: what the model is told, what is kept, and what the caller then hears."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from livekit.agents.llm import RawFunctionTool, ToolError

from agent.knowledge import NAME, asker, knowledge_tools, standing_order
from agent.meanwhile import Meanwhile
from contracts.bot import BotConfig
from contracts.knowledge import KnowledgeFound, KnowledgePassage
from contracts.report import ToolCalled
from sidecar.client import SidecarClient, Unavailable
from tests.fakes.engines import ScriptedEngines
from tests.fakes.spoken_call import GREETING, Call, plan, running
from tests.fakes.tool_use import Uses
from tests.fakes.virtual_time import virtual_time

PRICE = KnowledgePassage(
    chunk_id="doc_a_chunk_0", document="prices.pdf", score=0.83, text="A cleaning costs ₹1,500."
)
KEPT = {"passages": [{"chunk_id": "doc_a_chunk_0", "document": "prices.pdf", "score": 0.83}]}
FALLBACK = "I'd rather ask a colleague about that."
SEARCH = ("", NAME, '{"query": "price of a cleaning"}')


class Library:
    """Finds the same, whatever is asked, after a while."""

    def __init__(self, *passages: KnowledgePassage, after_s: float = 0.0) -> None:
        self.asked: list[str] = []
        self.error: Exception | None = None
        self._found = KnowledgeFound(passages=list(passages))
        self._after_s = after_s

    async def ask(self, question: str) -> KnowledgeFound:
        self.asked.append(question)
        await asyncio.sleep(self._after_s)
        if self.error is not None:
            raise self.error
        return self._found


class Bench(Uses):
    """The tool of one bot, and what was reported of it."""

    def __init__(self, library: Library, **config: Any) -> None:
        super().__init__()
        self.called: list[ToolCalled] = []
        given = {"knowledge_enabled": True, "knowledge_kb_ids": ["kb_1"], **config}
        self.config = BotConfig.model_validate(given)
        self.tools = knowledge_tools(self.config, library.ask, Meanwhile(), self.called.append)

    async def told(self, query: Any = "price of a cleaning") -> str:
        [tool] = self.tools
        return str(await self.use(tool, query=query))

    async def failed(self, query: Any = "price") -> str:
        with pytest.raises(ToolError) as caught:
            await self.told(query)
        return str(caught.value.message)


async def test_model_is_told_the_passages_and_their_names_are_kept() -> None:
    library = Library(PRICE)
    bench = Bench(library)
    told = json.loads(await bench.told())
    assert told["passages"] == [{"from": "prices.pdf", "text": "A cleaning costs ₹1,500."}]
    assert told["note"].endswith("say that you do not know.")
    assert library.asked == ["price of a cleaning"]
    [called] = bench.called
    assert (called.name, called.result, called.error) == (NAME, KEPT, None)
    assert called.arguments == {"query": "price of a cleaning"}
    assert called.duration_ms >= 0


async def test_strict_bot_is_told_to_answer_from_the_passages_alone() -> None:
    bench = Bench(Library(PRICE), knowledge_strict=True, knowledge_fallback_message=FALLBACK)
    note = json.loads(await bench.told())["note"]
    assert note.startswith("Answer from these passages alone.")
    assert note.endswith(f'say exactly: "{FALLBACK}"')
    assert NAME in standing_order(bench.config)
    assert standing_order(Bench(Library()).config) == ""
    off = {"knowledge_enabled": False, "knowledge_strict": True}
    assert standing_order(BotConfig.model_validate(off)) == ""


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({}, "Nothing was found."),
        ({"knowledge_strict": True}, "Nothing was found. Now say that you do not know."),
        (
            {"knowledge_fallback_message": FALLBACK},
            f'Nothing was found. Now say exactly: "{FALLBACK}"',
        ),
    ],
)
async def test_where_nothing_is_found_the_bots_own_words_are_said(
    config: dict[str, Any], told: str
) -> None:
    bench = Bench(Library(), **config)
    assert await bench.told() == told
    assert bench.called[0].result == {"passages": []}


@virtual_time
async def test_search_that_takes_too_long_is_told_in_words() -> None:
    bench = Bench(Library(PRICE, after_s=60))
    began = asyncio.get_running_loop().time()
    assert "within 3 seconds" in await bench.failed()
    assert asyncio.get_running_loop().time() - began == pytest.approx(3.0)
    assert bench.called[0].detail == {"failure": "timeout"}


async def test_sidecar_that_is_away_is_told_in_words() -> None:
    library = Library()
    library.error = Unavailable("POST /…: ConnectError")
    bench = Bench(library)
    assert "cannot be searched just now" in await bench.failed()
    assert bench.called[0].detail == {"failure": "unreachable"}


@pytest.mark.parametrize("query", ["", "  ", None])
async def test_question_without_words_is_not_asked(query: Any) -> None:
    library = Library()
    assert "say what to find" in await Bench(library).failed(query)
    assert library.asked == []


async def test_bots_own_words_describe_the_tool() -> None:
    [tool] = Bench(Library(), knowledge_trigger_instructions="Use for prices.").tools
    assert isinstance(tool, RawFunctionTool)
    assert tool.info.raw_schema["description"] == "Use for prices."
    [usual] = Bench(Library()).tools
    assert isinstance(usual, RawFunctionTool)
    assert "Look up facts" in usual.info.raw_schema["description"]


@pytest.mark.parametrize("config", [{"knowledge_enabled": False}, {"knowledge_kb_ids": []}])
async def test_bot_without_documents_has_no_such_tool(config: dict[str, Any]) -> None:
    assert Bench(Library(), **config).tools == []
    assert knowledge_tools(Bench(Library()).config, None, Meanwhile(), print) == []


@virtual_time
async def test_answer_is_heard_after_the_search() -> None:
    library = Library(PRICE, after_s=0.4)
    call = Call(
        ScriptedEngines(SEARCH, "It is in our price list."),
        look_up=library.ask,
        llm={"provider": "openai"},
        knowledge_enabled=True,
        knowledge_kb_ids=["kb_1"],
        knowledge_strict=True,
    )
    async with running(call):
        await call.lines(1)
        call.caller.say("What does a cleaning cost?")
        await call.lines(3)
        assert call.said("bot") == [GREETING, "It is in our price list."]
        assert "only from what search_knowledge finds" in call.llm.told[0]
        assert "A cleaning costs" in call.llm.asked[-1]
        [called] = [fact for fact in call.facts if isinstance(fact, ToolCalled)]
        assert called.result == KEPT
        assert "costs" not in called.model_dump_json()


async def test_call_of_a_bot_asks_the_sidecar_for_its_own_call() -> None:
    sent: list[Any] = []

    async def handle(request: httpx.Request) -> httpx.Response:
        sent.append((request.url.path, json.loads(request.content)))
        return httpx.Response(200, json={"passages": [PRICE.model_dump()]})

    transport = httpx.MockTransport(handle)
    async with SidecarClient("http://sidecar", "s3cret", transport=transport) as client:
        found = await asker(client, plan())("price")
    assert found.passages == [PRICE]
    path = f"/internal/v1/calls/{plan().call_id}/knowledge"
    assert sent == [(path, {"incarnation": 1, "question": "price"})]
