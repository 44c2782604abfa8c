"""A worker's work after calls: against a model's stand-in, and a sidecar behind the real client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
import pytest_asyncio
from livekit.agents import llm

from agent import aftercall
from agent.aftercall import ANSWER_TOKENS, MAX_TASKS, Aftercall, parsed
from agent.settings import AgentSettings
from agent.worker import Worker
from contracts.engines import LlmConfig, PromptParts
from contracts.plan import HistoryLine
from contracts.task import Task, TaskAnswer, TaskClaim, TaskKind
from sidecar.client import SidecarClient
from tests.agent.test_worker import FakeServer
from tests.fakes.vendors.script import Fault, Reply, Vendor, VendorScript
from tests.fakes.vendors.server import VendorServer
from tests.fakes.virtual_time import virtual_time

FAST = VendorScript(llm_first_token_ms=5, llm_token_ms=1)


@pytest_asyncio.fixture
async def vendors() -> AsyncIterator[VendorServer]:
    async with VendorServer(FAST.model_copy(deep=True)) as running:
        yield running


def task(base_url: str = "", number: int = 1, **changes: Any) -> Task:
    given: dict[str, Any] = {
        "task_id": f"c{number}-analysis",
        "call_id": f"c{number}",
        "kind": TaskKind.ANALYSIS,
        "attempt": 1,
        "lease_s": 30.0,
        "llm": LlmConfig(
            provider="openai", api_key="oa-key", model="gpt-4.1-mini", base_url=base_url
        ),
        "prompt": "What did the customer want? Keys: DISPOSITION.",
        "transcript": [
            HistoryLine(speaker="bot", text="Hello."),
            HistoryLine(speaker="customer", text="I will pay on Friday."),
        ],
        **changes,
    }
    return Task(**given)


class Desk:
    """The sidecar's side of tasks.

    Attributes:
        waiting: tasks to give out.
        claims: who asked.
        answers: what came back, by task.
        failures: how the next answers are received: a status, or 0 for a lost connection.
    """

    def __init__(self, *waiting: Task) -> None:
        self.waiting = list(waiting)
        self.claims: list[TaskClaim] = []
        self.answers: dict[str, TaskAnswer] = {}
        self.failures: list[int] = []
        self.answered = asyncio.Event()

    def client(self) -> SidecarClient:
        return SidecarClient("http://desk", "s", transport=httpx.MockTransport(self._answer))

    def worker(self, build: aftercall.BuildBrain = aftercall.brain) -> Aftercall:
        return Aftercall(self.client(), "w1", build)

    async def answer_to(self, wanted: Task) -> TaskAnswer:
        """Let a worker do this one task, and return what it says."""
        self.waiting.append(wanted)
        worker = self.worker()
        worker.take_up()
        await self.answered.wait()
        await worker.aclose()
        return self.answers[wanted.task_id]

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        content = await request.aread()
        if request.url.path.endswith("/heartbeats"):
            return httpx.Response(200, json={"tasks": bool(self.waiting)})
        if request.url.path.endswith("/claim"):
            self.claims.append(TaskClaim.model_validate_json(content))
            if not self.waiting:
                return httpx.Response(204)
            return httpx.Response(200, text=self.waiting.pop(0).model_dump_json())
        if self.failures:
            status = self.failures.pop(0)
            if status == 0:
                raise httpx.ReadError("lost", request=request)
            error = {"code": "stale_attempt", "message": "", "details": {}}
            if status < 500:
                self.answered.set()
            return httpx.Response(status, json={"error": error})
        task_id = request.url.path.split("/")[-2]
        self.answers[task_id] = TaskAnswer.model_validate_json(content)
        self.answered.set()
        return httpx.Response(204)


async def test_models_object_is_handed_in(vendors: VendorServer) -> None:
    vendors.script.replies = [Reply(text='```json\n{"DISPOSITION": "PTP", "amount": 12.5}\n```')]
    answer = await Desk().answer_to(task(vendors.openai))
    assert answer == TaskAnswer(
        worker_id="w1", attempt=1, result={"DISPOSITION": "PTP", "amount": 12.5}
    )
    (request,) = vendors.journal.of(Vendor.LLM)
    assert request.headers["Authorization"] == "Bearer oa-key"
    assert request.body["max_tokens"] == ANSWER_TOKENS
    system, user = request.body["messages"]
    assert system["content"].startswith("What did the customer want?")
    assert "JSON object" in system["content"]
    assert user["content"].endswith("bot: Hello.\ncustomer: I will pay on Friday.")


def gemini(vendors: VendorServer) -> LlmConfig:
    return LlmConfig(
        provider="google", api_key="go-key", model="gemini-2.5-flash", base_url=vendors.google
    )


KEPT = PromptParts(
    mode="direct",
    cache_enabled=True,
    prompt_cache_key="desk-qc-3",
    cached_content="cachedContents/q",
)


async def test_gemini_is_asked_alike(vendors: VendorServer) -> None:
    vendors.script.replies = [Reply(text='{"DISPOSITION": "PTP"}')]
    answer = await Desk().answer_to(task(llm=gemini(vendors)))
    assert answer.result == {"DISPOSITION": "PTP"}
    (request,) = vendors.journal.of(Vendor.LLM)
    assert request.body["generationConfig"]["maxOutputTokens"] == ANSWER_TOKENS


async def test_prompt_that_the_vendor_keeps_is_not_sent_again(vendors: VendorServer) -> None:
    vendors.script.replies = [Reply(text='{"DISPOSITION": "PTP"}')]
    vendors.script.llm_caches = ["cachedContents/q"]
    answer = await Desk().answer_to(task(llm=gemini(vendors), kept=KEPT))
    assert answer.result == {"DISPOSITION": "PTP"}
    (request,) = vendors.journal.of(Vendor.LLM)
    assert request.body["cachedContent"] == "cachedContents/q"
    (turn,) = request.body["contents"]
    # What is asked of every model is not in anybody's cache.
    assert "one JSON object" in turn["parts"][0]["text"]
    assert "What did the customer want?" not in str(request.body)


async def test_hint_for_a_cache_goes_with_the_question(vendors: VendorServer) -> None:
    vendors.script.replies = [Reply(text="{}")]
    await Desk().answer_to(task(vendors.openai, kept=KEPT))
    (request,) = vendors.journal.of(Vendor.LLM)
    assert request.body["prompt_cache_key"] == "desk-qc-3"
    assert request.body["messages"][0]["content"].startswith("What did the customer want?")


async def test_answer_that_is_no_object_is_asked_for_again(vendors: VendorServer) -> None:
    vendors.script.replies = [
        Reply(when="alone", text='{"DISPOSITION": "PTP"}'),
        Reply(text="They will pay on Friday."),
    ]
    answer = await Desk().answer_to(task(vendors.openai))
    assert answer.result == {"DISPOSITION": "PTP"}
    _, again = vendors.journal.of(Vendor.LLM)
    said, complaint = again.body["messages"][-2:]
    assert (said["role"], said["content"]) == ("assistant", "They will pay on Friday.")
    assert complaint["role"] == "user"


async def test_answer_that_never_is_one_is_kept_as_it_came(vendors: VendorServer) -> None:
    vendors.script.replies = [Reply(text='{"DISPOSITION": "PTP"')]
    answer = await Desk().answer_to(task(vendors.openai))
    assert answer.result == {"raw": '{"DISPOSITION": "PTP"'}
    assert len(vendors.journal.of(Vendor.LLM)) == 2


async def test_refusing_model_is_told_by_its_status_alone(
    vendors: VendorServer, caplog: pytest.LogCaptureFixture
) -> None:
    vendors.script.faults = {Vendor.LLM: Fault(kind="http", status=401)}
    answer = await Desk().answer_to(task(vendors.openai))
    assert (answer.result, answer.error) == (None, "the model answered 401")
    assert "oa-key" not in caplog.text


@pytest.mark.parametrize("fault", [Fault(kind="http", status=401), Fault(kind="silent")])
async def test_fallback_is_asked_where_the_first_model_fails(
    vendors: VendorServer, fault: Fault
) -> None:
    async with VendorServer(FAST.model_copy(deep=True)) as first:
        first.script.faults = {Vendor.LLM: fault}
        vendors.script.replies = [Reply(text='{"DISPOSITION": "PTP"}')]
        asked = task(first.openai, lease_s=3.0, kept=KEPT)
        others = [LlmConfig(provider="rules"), gemini(vendors)]
        llm = asked.llm.model_copy(update={"fallbacks": others})
        answer = await Desk().answer_to(asked.model_copy(update={"llm": llm}))
        assert answer.result == {"DISPOSITION": "PTP"}
        assert len(first.journal.of(Vendor.LLM)) == 1
        (request,) = vendors.journal.of(Vendor.LLM)
        assert "What did the customer want?" in str(request.body["systemInstruction"])
        assert "cachedContent" not in request.body


async def test_model_that_says_nothing_is_not_waited_for_beyond_the_lease(
    vendors: VendorServer,
) -> None:
    vendors.script.faults = {Vendor.LLM: Fault(kind="silent")}
    answer = await Desk().answer_to(task(vendors.openai, lease_s=0.6))
    assert answer.error in ("the model took too long", "APITimeoutError")


@pytest.mark.parametrize(
    "llm", [LlmConfig(provider="rules"), LlmConfig(provider="openai"), LlmConfig(provider="x")]
)
async def test_brain_that_cannot_be_asked_is_an_error(llm: LlmConfig) -> None:
    answer = await Desk().answer_to(task(llm=llm))
    assert answer.error in ("ProviderUnknown", "ConfigUnusable")


class SlowModel:
    """A model that answers when told, and knows whether it was closed."""

    def __init__(self) -> None:
        self.asked = 0
        self.closed = 0
        self.go = asyncio.Event()

    async def build(self, *_: object) -> llm.LLM[Any]:
        self.asked += 1
        return self  # type: ignore[return-value]

    def chat(self, **_: Any) -> SlowModel:
        return self

    async def __aenter__(self) -> SlowModel:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def collect(self) -> llm.CollectedResponse:
        await self.go.wait()
        return llm.CollectedResponse(text="{}")

    async def aclose(self) -> None:
        self.closed += 1


async def settled() -> None:
    """Let everything that can go on go on."""
    for _ in range(50):
        await asyncio.sleep(0)


@virtual_time
async def test_worker_does_no_more_than_two_at_once_and_closes_its_models() -> None:
    desk, model = Desk(*(task(number=number) for number in range(5))), SlowModel()
    worker = desk.worker(model.build)
    for _ in range(3):
        worker.take_up()
        await settled()
    assert (model.asked, len(desk.claims)) == (MAX_TASKS, MAX_TASKS)
    model.go.set()
    await settled()
    assert (len(desk.answers), model.closed) == (MAX_TASKS, MAX_TASKS)
    worker.take_up()
    await settled()
    assert len(desk.answers) == 2 * MAX_TASKS
    await worker.aclose()


@virtual_time
async def test_worker_that_ends_drops_what_it_does() -> None:
    desk, model = Desk(task()), SlowModel()
    worker = desk.worker(model.build)
    worker.take_up()
    await settled()
    await worker.aclose()
    assert (desk.answers, model.closed) == ({}, 1)


@virtual_time
async def test_answer_is_offered_until_the_sidecar_is_back() -> None:
    desk, model = Desk(task()), SlowModel()
    desk.failures = [0, 503, 0]
    model.go.set()
    worker = desk.worker(model.build)
    worker.take_up()
    await asyncio.sleep(10)
    assert desk.answers["c1-analysis"].result == {}


@virtual_time
async def test_answer_that_came_too_late_is_not_offered_again() -> None:
    desk, model = Desk(task()), SlowModel()
    desk.failures = [409]
    model.go.set()
    worker = desk.worker(model.build)
    worker.take_up()
    await asyncio.sleep(60)
    assert (desk.failures, desk.answers) == ([], {})


@virtual_time
async def test_answer_nobody_takes_is_dropped_with_the_lease() -> None:
    desk, model = Desk(task()), SlowModel()
    desk.failures = [0] * 100
    model.go.set()
    worker = desk.worker(model.build)
    worker.take_up()
    await asyncio.sleep(31)
    left = len(desk.failures)
    assert left < 100
    await asyncio.sleep(31)
    assert len(desk.failures) == left


async def test_nothing_is_done_where_nothing_waits() -> None:
    desk = Desk()
    worker = desk.worker()
    worker.take_up()
    await settled()
    assert {claim.worker_id for claim in desk.claims} == {"w1"}
    assert desk.answers == {}


def agent_worker(desk: Desk, folder: Path) -> tuple[Worker, FakeServer]:
    settings = AgentSettings(
        agent_recordings_dir=folder / "recordings", agent_spool_dir=folder / "spool"
    )
    server: Any = FakeServer()
    return Worker(settings, desk.client(), server), server


@virtual_time
async def test_agent_worker_takes_tasks_up_when_its_heartbeat_is_told_of_some() -> None:
    # Its brain of rules is none, so the task fails at once.
    desk = Desk(task(llm=LlmConfig(provider="rules")))
    with TemporaryDirectory() as folder:
        worker, _ = agent_worker(desk, Path(folder))
        running = asyncio.create_task(worker.run())
        await desk.answered.wait()
        worker.stop()
        await running
    assert desk.answers["c1-analysis"].error == "ProviderUnknown"


@virtual_time
async def test_agent_worker_that_drains_takes_none_up() -> None:
    desk = Desk(task())
    with TemporaryDirectory() as folder:
        worker, server = agent_worker(desk, Path(folder))
        server.run_job("6f1c7d52-92a4-4c5e-9a39-0d3c1f0a7b10")
        worker.stop()
        running = asyncio.create_task(worker.run())
        await asyncio.sleep(60)
        server.active_jobs.clear()
        await running
    assert (desk.claims, desk.answers) == ([], {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1}', {"a": 1}),
        ('Here it is: {"a": {"b": "}"}}. Bye.', {"a": {"b": "}"}}),
        ("```json\n{}\n```", {}),
    ],
)
def test_object_is_found_in_what_is_written_around_it(text: str, expected: dict[str, Any]) -> None:
    assert parsed(text) == expected


@pytest.mark.parametrize(
    "text", ["", "none", "[1, 2]", "}{", '{"a": NaN}', '{"a": "\\ud800"}', '{"a": 1} {"b": 2}']
)
def test_what_is_no_object_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parsed(text)
