"""Who hears of a hold, and how often."""

from __future__ import annotations

import asyncio

from bridges.sip.hold import APART_S, Holds
from tests.fakes.virtual_time import virtual_time


@virtual_time
async def test_change_is_told_at_once_and_once() -> None:
    told: list[bool] = []
    holds = Holds(told.append)
    holds.note(False)
    holds.note(True)
    holds.note(True)
    assert (told, holds.is_held, holds.count) == ([True], True, 1)
    holds.close()


@virtual_time
async def test_change_of_mind_is_told_a_moment_later() -> None:
    told: list[bool] = []
    holds = Holds(told.append)
    holds.note(True)
    holds.note(False)
    assert (told, holds.is_held) == ([True], False)
    await asyncio.sleep(APART_S + 0.01)
    assert told == [True, False]


@virtual_time
async def test_hold_that_was_over_before_it_could_be_told_again_is_not() -> None:
    told: list[bool] = []
    holds = Holds(told.append)
    for is_held in (True, False, True):
        holds.note(is_held)
    await asyncio.sleep(3 * APART_S)
    assert told == [True]


@virtual_time
async def test_nothing_is_told_after_the_end() -> None:
    told: list[bool] = []
    holds = Holds(told.append)
    holds.note(True)
    holds.note(False)
    holds.close()
    await asyncio.sleep(3 * APART_S)
    assert told == [True]
