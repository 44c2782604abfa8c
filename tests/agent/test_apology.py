"""A line that can be said when the bot's voice cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from livekit import rtc
from livekit.agents import APIConnectionError

from agent.apology import Apology, played
from tests.fakes.virtual_time import virtual_time

TEXT = "I am sorry."


def frame() -> rtc.AudioFrame:
    return rtc.AudioFrame(b"\x01\x00" * 160, 8000, 1, 160)


class Speaker:
    """Makes audio, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked_at: list[float] = []

    async def __call__(self, text: str) -> AsyncIterator[rtc.AudioFrame]:
        self.asked_at.append(asyncio.get_running_loop().time())
        assert text == TEXT
        if self.error is not None:
            raise self.error
        yield frame()


@virtual_time
async def test_bots_own_voice_is_kept_after_the_greeting() -> None:
    speaker = Speaker()
    apology = Apology(TEXT, speaker)
    await apology.prepare()
    assert speaker.asked_at == [5.0]
    kept = await apology.audio()
    assert kept is not None
    assert [each.sample_rate for each in kept] == [8000]
    assert [each async for each in played(kept)] == list(kept)


@virtual_time
async def test_offline_voice_says_it_where_the_bots_own_was_not_kept() -> None:
    apology = Apology(TEXT, Speaker(APIConnectionError("gone")))
    await apology.prepare()
    assert sum(each.duration for each in await apology.audio() or []) > 0.4


@virtual_time
async def test_voice_that_cannot_fail_is_not_kept() -> None:
    apology = Apology(TEXT)
    await apology.prepare()
    assert asyncio.get_running_loop().time() == 0.0
    assert await apology.audio()


@virtual_time
async def test_nothing_is_made_of_no_text_nor_of_what_the_offline_voice_cannot_say() -> None:
    assert await Apology("").audio() == []
    assert await Apology("🙂").audio() == []
