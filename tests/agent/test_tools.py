"""Which tools a bot has, what they do to the call, and that every run is reported."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from livekit.agents import llm
from livekit.agents.llm import ToolError, ToolResult

from agent.tools import NotTransferred, built_in_tools, declared_tools, tool
from contracts.bot import BotConfig
from contracts.report import ToolCalled
from contracts.rules import RulesConfig

NOW = datetime(2026, 4, 27, 10, 0, tzinfo=UTC)


class FakeCall:
    """Notes what tools ask of the call, and refuses where told to."""

    def __init__(self, refusal: str | None = None) -> None:
        self.refusal = refusal
        self.said = ""
        self.asked: list[tuple[str, ...]] = []

    async def end_after_goodbye(self, context: Any) -> str | None:
        self.asked.append(("end",))
        return self.refusal

    async def leave_voicemail(self, context: Any) -> None:
        self.asked.append(("voicemail",))

    async def transfer(self, context: Any, reason: str, target: str) -> NotTransferred | None:
        self.asked.append(("transfer", reason, target))
        return None if self.refusal is None else NotTransferred(self.refusal, self.said)


class Bench:
    """A bot's built-in tools, its call and what was reported."""

    def __init__(self, refusal: str | None = None, **config: Any) -> None:
        self.called: list[ToolCalled] = []
        self.call = FakeCall(refusal)
        self.tools = built_in_tools(
            BotConfig.model_validate(config),
            self.call,
            self.call,
            self.called.append,
            can_transfer=True,
        )

    async def run(self, name: str, **arguments: Any) -> Any:
        return await run(self.tools, name, **arguments)


async def run(tools: Sequence[llm.Tool], name: str, **arguments: Any) -> Any:
    named: dict[str, Any] = {one.id: one for one in tools}
    return await named[name](arguments, None)


def names(tools: Sequence[llm.Tool]) -> list[str]:
    return [one.id for one in tools]


def test_bot_has_the_tools_its_config_asks_for() -> None:
    assert names(Bench().tools) == ["end_call", "detected_voicemail", "transfer_call"]
    without = BotConfig(end_call_enabled=False, voicemail_detection_enabled=False)
    assert built_in_tools(without, FakeCall(), FakeCall(), print, can_transfer=False) == []


async def test_end_call_ends_the_call_without_another_word() -> None:
    bench = Bench()
    result = await bench.run("end_call")
    assert isinstance(result, ToolResult)
    assert not result.reply_required
    assert bench.call.asked == [("end",)]
    assert (bench.called[0].name, bench.called[0].result) == ("end_call", "The call has ended.")


async def test_end_call_that_was_cut_is_told_to_the_model() -> None:
    assert await Bench(refusal="They cut in.").run("end_call") == "They cut in."


async def test_voicemail_is_left() -> None:
    bench = Bench()
    await bench.run("detected_voicemail")
    assert bench.call.asked == [("voicemail",)]


async def test_transfer_passes_reason_and_target_on() -> None:
    bench = Bench()
    await bench.run("transfer_call", reason="billing", target="desk")
    await bench.run("transfer_call", reason=None)
    assert bench.call.asked == [("transfer", "billing", "desk"), ("transfer", "", "")]
    assert bench.called[0].arguments == {"reason": "billing", "target": "desk"}


async def test_refused_transfer_is_an_error_the_model_hears() -> None:
    bench = Bench(refusal="no such target")
    with pytest.raises(ToolError):
        await bench.run("transfer_call")
    assert bench.called[0].error == "no such target"


async def test_failed_transfer_the_caller_was_told_of_is_no_news_to_break() -> None:
    bench = Bench(refusal="busy")
    bench.call.said = "Nobody is free."
    result = await bench.run("transfer_call")
    assert result == {"transferred": "no", "reason": "busy", "caller_was_told": "Nobody is free."}
    assert bench.called[0].error is None


async def test_declared_tool_answers_from_its_back_end() -> None:
    rules = RulesConfig.model_validate(
        {
            "tools": {
                "look_up": {
                    "kind": "static",
                    "description": "Looks up.",
                    "arguments": ["id"],
                    "result": {"a": "{{arg.id}}"},
                }
            }
        }
    )
    called: list[ToolCalled] = []
    result = await run(declared_tools(rules, lambda: NOW, called.append), "look_up", id="7")
    assert called[0].result == result == {"a": "7"}
    assert called[0].arguments == {"id": "7"}
    assert called[0].duration_ms >= 0


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (ToolError("try later"), "try later"),
        (KeyError("secret"), "KeyError"),
        (asyncio.CancelledError(), "cancelled"),
    ],
)
async def test_run_that_fails_is_reported_and_raised(failure: BaseException, told: str) -> None:
    async def fail(*_: Any) -> Any:
        raise failure

    called: list[ToolCalled] = []
    with pytest.raises(type(failure)):
        await run([tool("broken", "", {}, fail, called.append)], "broken")
    (report,) = called
    assert report.error is not None
    assert report.error.startswith(told)


def test_tool_that_nobody_described_is_described_by_its_name() -> None:
    async def idle(*_: Any) -> Any:
        return None

    made: Any = tool("find_order", "", {}, idle, print)
    assert made.info.raw_schema["description"] == "find order"
