"""What a caller hears while tools work, and that the very same is not done twice at a time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent.meanwhile import Meanwhile
from agent.tools import Shown, ToolFailed
from tests.fakes.tool_use import Uses


class Work:
    """Is begun, and done when the test says so."""

    def __init__(self) -> None:
        self.begun = 0
        self.finish = asyncio.Event()
        self.fails = False

    async def __call__(self) -> Shown:
        self.begun += 1
        await self.finish.wait()
        if self.fails:
            raise ToolFailed("No.", "status")
        return Shown("ok", {"a": 1}, {"status": 200})


class Bench:
    """A call with work under way."""

    def __init__(self) -> None:
        self.uses = Uses()
        self.meanwhile = Meanwhile()
        self.work = Work()

    async def begin(self, name: str = "a", line: str = "", **arguments: Any) -> asyncio.Task[Shown]:
        context = self.uses.context()
        running = self.meanwhile.run(name, arguments, self.work, context, line)
        task = asyncio.create_task(running)
        for _ in range(5):
            await asyncio.sleep(0)
        return task


async def test_of_tools_called_together_the_caller_is_told_to_wait_once() -> None:
    bench = Bench()
    uses = [
        await bench.begin("a", "One moment."),
        await bench.begin("b", "Just a second."),
        await bench.begin("c"),
    ]
    assert bench.uses.said == ["One moment."]
    bench.uses.speeches[0].is_over = True
    uses.append(await bench.begin("d", "Still at it."))
    assert bench.uses.said == ["One moment.", "Still at it."]
    assert bench.meanwhile.is_waiting
    bench.work.finish.set()
    assert [await use for use in uses] == [Shown("ok", {"a": 1}, {"status": 200})] * 4
    assert not bench.meanwhile.is_waiting


async def test_work_goes_on_where_nothing_can_be_said() -> None:
    bench = Bench()
    bench.uses.is_closing = True
    use = await bench.begin("a", "One moment.")
    bench.work.finish.set()
    assert (await use).text == "ok"


async def test_same_work_is_joined_instead_of_done_twice() -> None:
    bench = Bench()
    first = await bench.begin("a", x=1, y=[2])
    again = await bench.begin("a", "One moment.", y=[2], x=1)
    other = await bench.begin("a", x=2)
    assert (bench.work.begun, bench.uses.said) == (2, [])
    bench.work.finish.set()
    assert (await first).detail == (await other).detail == {"status": 200}
    assert (await again).detail == {"status": 200, "joined": True}
    # Once it is over, it may be wanted anew.
    await (await bench.begin("a", x=1, y=[2]))
    assert bench.work.begun == 3


async def test_failure_is_everybodys_who_joined() -> None:
    bench = Bench()
    bench.work.fails = True
    both = [await bench.begin(), await bench.begin()]
    bench.work.finish.set()
    for use in both:
        with pytest.raises(ToolFailed, match="No"):
            await use


async def test_callers_turn_comes_first_and_the_model_hears_that_work_goes_on() -> None:
    bench = Bench()
    use = await bench.begin()
    assert bench.uses.updates == []
    bench.uses.turn.interruption.set()
    await asyncio.sleep(0.01)
    [update] = bench.uses.updates
    assert update.startswith("This is still in progress.")
    bench.work.finish.set()
    assert (await use).text == "ok"
    assert bench.work.begun == 1


async def test_whoever_is_cancelled_does_not_stop_the_work_of_others() -> None:
    bench = Bench()
    first, again = await bench.begin(), await bench.begin()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    bench.work.finish.set()
    assert (await again).text == "ok"


async def test_work_that_nobody_waits_for_may_fail() -> None:
    bench = Bench()
    bench.work.fails = True
    use = await bench.begin()
    use.cancel()
    bench.work.finish.set()
    await asyncio.sleep(0.01)
    assert not bench.meanwhile.is_waiting


async def test_what_outlasts_the_call_is_given_up_and_told() -> None:
    bench = Bench()
    use = await bench.begin()
    await bench.meanwhile.aclose()
    assert not bench.meanwhile.is_waiting
    with pytest.raises(ToolFailed, match="Whether it was done is not known") as caught:
        await use
    assert caught.value.detail == {"failure": "abandoned"}
    await bench.meanwhile.aclose()
