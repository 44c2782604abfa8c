"""A link without sound."""

from __future__ import annotations

import asyncio

import pytest

from agent.text_link import TextLink
from tests.fakes.virtual_time import virtual_time


@virtual_time
async def test_it_carries_nothing_until_it_is_cancelled() -> None:
    link = TextLink(16000, asyncio.get_running_loop().time)
    link.open()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1000):
            await link.run()
    link.output.hold()
    link.output.release()
    link.output.clear_buffer()
    link.close()
    assert link.output.speaking_line is None
    assert link.leg_clock.ms_at(1.0) is None
