"""The first to end decides."""

from __future__ import annotations

import asyncio

import pytest

from bridges.race import race, within


async def never(diary: list[str]) -> str:
    try:
        await asyncio.Event().wait()
    finally:
        diary.append("cancelled")
    return "never"


async def answer(text: str) -> str:
    return text


async def fail() -> str:
    raise RuntimeError("a bug")


async def test_first_result_wins_and_the_others_are_over() -> None:
    diary: list[str] = []

    assert await race(never(diary), answer("first"), never(diary)) == "first"
    assert diary == ["cancelled", "cancelled"]


async def test_first_exception_comes_out_and_the_others_are_over() -> None:
    diary: list[str] = []

    with pytest.raises(RuntimeError, match="a bug"):
        await race(never(diary), fail())
    assert diary == ["cancelled"]


async def test_cancelled_race_leaves_nothing_running() -> None:
    diary: list[str] = []
    task = asyncio.create_task(race(never(diary), never(diary)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert diary == ["cancelled", "cancelled"]


async def test_step_that_hangs_is_cut_off() -> None:
    diary: list[str] = []

    assert not await within(0.01, never(diary))
    assert diary == ["cancelled"]
    assert await within(1.0, answer("done"))
