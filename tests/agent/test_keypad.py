"""Keys in time: what belongs together, what a tool waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from agent.key_tools import wanted
from agent.keypad import MAX_GATHERED, PAUSE_S, Entered, Keypad, Wanted
from tests.fakes.virtual_time import virtual_time


class Caller:
    """A keypad, and what was made of its keys."""

    def __init__(self, is_complete: Callable[[str], bool] = lambda _: False) -> None:
        self.taken: list[str] = []
        self.keypad = Keypad(self.taken.append, is_complete)
        self.prompted: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def press(self, digits: str) -> None:
        for digit in digits:
            self.keypad.press(digit)

    def collect(self, wanted: Wanted) -> asyncio.Task[Entered]:
        return asyncio.create_task(self.keypad.collect(wanted, self.prompted))


@virtual_time
async def test_keys_after_a_pause_are_something_new() -> None:
    caller = Caller()
    caller.press("12")
    await asyncio.sleep(PAUSE_S - 0.1)
    caller.press("3")
    await asyncio.sleep(PAUSE_S + 0.1)
    caller.press("4")
    await asyncio.sleep(PAUSE_S + 0.1)
    assert caller.taken == ["123", "4"]


@virtual_time
async def test_keys_nothing_can_follow_are_not_waited_for() -> None:
    caller = Caller(lambda digits: digits == "1")
    caller.press("1")
    assert caller.taken == ["1"]
    caller.press("21")
    assert caller.taken == ["1"]


@virtual_time
async def test_keys_that_were_forgotten_are_nobodys() -> None:
    caller = Caller()
    caller.press("12")
    caller.keypad.forget()
    await asyncio.sleep(PAUSE_S + 1)
    assert caller.taken == []


@virtual_time
async def test_somebody_who_leans_on_a_key_does_no_harm() -> None:
    caller = Caller()
    caller.press("1" * 1000)
    await asyncio.sleep(PAUSE_S + 1)
    assert caller.taken == ["1" * MAX_GATHERED]


@virtual_time
async def test_time_begins_once_the_caller_knows_what_to_enter() -> None:
    caller = Caller()
    collecting = caller.collect(Wanted(timeout_s=5))
    await asyncio.sleep(30)
    assert not collecting.done()
    caller.prompted.set_result(None)
    await asyncio.sleep(4.9)
    assert not collecting.done()
    await asyncio.sleep(0.2)
    assert await collecting == Entered("", "timeout")
    assert not caller.keypad.is_collecting


@virtual_time
async def test_each_key_gives_time_for_the_next() -> None:
    caller = Caller()
    collecting = caller.collect(Wanted(inter_digit_timeout_s=3))
    await asyncio.sleep(0.1)
    for digit in "123":
        caller.press(digit)
        await asyncio.sleep(2.9)
    assert not collecting.done()
    await asyncio.sleep(0.2)
    assert await collecting == Entered("123", "timeout")
    assert caller.taken == []


@virtual_time
async def test_keys_pressed_before_the_tool_asked_are_its_too() -> None:
    caller = Caller()
    caller.press("12")
    collecting = caller.collect(Wanted(max_digits=4))
    await asyncio.sleep(0.1)
    caller.press("34")
    assert await collecting == Entered("1234", "count")
    await asyncio.sleep(10)
    assert caller.taken == []


@virtual_time
async def test_key_that_ends_the_entry_is_no_part_of_it() -> None:
    caller = Caller()
    collecting = caller.collect(Wanted(finish_on_key="*"))
    await asyncio.sleep(0.1)
    caller.press("1#2*3")
    assert await collecting == Entered("1#2", "key")


@virtual_time
async def test_new_collection_ends_the_old_one() -> None:
    caller = Caller()
    first = caller.collect(Wanted())
    await asyncio.sleep(0.1)
    caller.press("1")
    second = caller.collect(Wanted(max_digits=1))
    await asyncio.sleep(0.1)
    caller.press("2")
    assert await first == Entered("1", "timeout")
    assert await second == Entered("2", "count")


@virtual_time
async def test_words_end_it_and_change_nothing_where_nobody_waits() -> None:
    caller = Caller()
    caller.keypad.spoken()
    collecting = caller.collect(Wanted())
    await asyncio.sleep(0.1)
    caller.press("1")
    caller.keypad.spoken()
    assert await collecting == Entered("1", "speech")


@virtual_time
async def test_tool_that_is_cancelled_gives_the_keys_back() -> None:
    caller = Caller()
    collecting = caller.collect(Wanted())
    await asyncio.sleep(0.1)
    collecting.cancel()
    await asyncio.gather(collecting, return_exceptions=True)
    caller.press("1#")
    assert caller.taken == ["1#"]


def test_what_a_model_asks_for_is_kept_within_reason() -> None:
    assert wanted({}) == Wanted()
    asked = {
        "max_digits": "4",
        "finish_on_key": "*",
        "timeout_s": 600,
        "inter_digit_timeout_s": "0",
    }
    assert wanted(asked) == Wanted(4, "*", 60, 0.5)
    nonsense = {"max_digits": "many", "finish_on_key": "enter", "timeout_s": float("nan")}
    assert wanted(nonsense) == Wanted(finish_on_key="")
