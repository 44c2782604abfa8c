"""Names become addresses."""

from __future__ import annotations

import asyncio
import socket

import pytest

from bridges.sip.resolver import KEPT_S, NoAddress, Resolver
from tests.fakes.virtual_time import virtual_time


class Names:
    """A resolver's answers, in turn, and how often it was asked."""

    def __init__(self, *answers: list[str] | None) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.now = 0.0

    async def look_up(self, host: str, family: socket.AddressFamily) -> list[str]:
        self.asked += 1
        await asyncio.sleep(0)
        answer = self.answers.pop(0)
        if answer is None:
            await asyncio.Event().wait()
            raise AssertionError
        if not answer:
            raise OSError("no such name")
        return answer

    def resolver(self) -> Resolver:
        return Resolver(socket.AF_INET, lambda: self.now, self.look_up)


@virtual_time
async def test_address_needs_no_look_up() -> None:
    names = Names()
    assert await names.resolver().addresses("192.0.2.1") == ["192.0.2.1"]
    assert names.resolver().known("2001:db8::1") == ["2001:db8::1"]


@virtual_time
async def test_name_is_looked_up_once_a_minute_and_once_at_a_time() -> None:
    names = Names(["192.0.2.1"], ["192.0.2.2"])
    resolver = names.resolver()
    assert resolver.known("pbx") == []
    one, other = await asyncio.gather(resolver.addresses("pbx"), resolver.addresses("pbx"))
    assert one == other == ["192.0.2.1"]
    assert resolver.known("pbx") == ["192.0.2.1"]
    names.now = KEPT_S
    assert resolver.known("pbx") == []
    assert await resolver.addresses("pbx") == ["192.0.2.2"]
    assert names.asked == 2


@virtual_time
async def test_address_in_use_is_kept_while_it_is_among_them() -> None:
    names = Names(["192.0.2.1", "192.0.2.2"], ["192.0.2.2", "192.0.2.1", "192.0.2.2"])
    resolver = names.resolver()
    await resolver.addresses("pbx")
    names.now = KEPT_S
    assert await resolver.addresses("pbx") == ["192.0.2.1", "192.0.2.2"]


@virtual_time
async def test_name_without_address_is_asked_for_again() -> None:
    names = Names([], ["192.0.2.1"])
    resolver = names.resolver()
    with pytest.raises(NoAddress, match="has no address"):
        await resolver.addresses("pbx")
    assert await resolver.addresses("pbx") == ["192.0.2.1"]


@virtual_time
async def test_resolver_that_hangs_is_not_waited_for() -> None:
    with pytest.raises(NoAddress, match="not looked up in time"):
        await Names(None).resolver().addresses("pbx")


async def test_system_knows_this_machine() -> None:
    resolver = Resolver(socket.AF_INET, lambda: 0.0)
    assert await resolver.addresses("localhost") == ["127.0.0.1"]
