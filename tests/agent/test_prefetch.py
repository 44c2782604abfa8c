"""Audio made ahead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from livekit import rtc

from agent.prefetch import Prefetch


def frame(value: int) -> rtc.AudioFrame:
    return rtc.AudioFrame(bytes((value, 0)), 8000, 1, 1)


async def test_frames_are_pulled_before_anybody_asks_and_given_out_in_order() -> None:
    made: list[int] = []

    async def source() -> AsyncIterator[rtc.AudioFrame]:
        for value in range(3):
            made.append(value)
            yield frame(value)

    prefetch = Prefetch(source())
    await asyncio.sleep(0)
    assert made == [0, 1, 2]
    assert [bytes(each.data)[0] for each in [f async for f in prefetch.frames()]] == [0, 1, 2]


async def test_failure_of_the_source_reaches_the_one_who_asks() -> None:
    async def source() -> AsyncIterator[rtc.AudioFrame]:
        yield frame(1)
        raise RuntimeError("no voice")

    prefetch = Prefetch(source())
    with pytest.raises(RuntimeError, match="no voice"):
        [f async for f in prefetch.frames()]


async def test_closing_stops_the_source() -> None:
    closed = asyncio.Event()

    async def source() -> AsyncIterator[rtc.AudioFrame]:
        try:
            await asyncio.Event().wait()
            yield frame(1)
        finally:
            closed.set()

    prefetch = Prefetch(source())
    await asyncio.sleep(0)
    await prefetch.aclose()
    assert closed.is_set()
