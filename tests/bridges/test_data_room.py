"""What the SDK must never see: a join that nobody waits for."""

from __future__ import annotations

import asyncio

import pytest
from livekit import rtc

from bridges.data_room import DataRoom


class Server:
    """Stands in for the SDK's connection: lets a room in when told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opens = asyncio.Event()
        self.log: list[str] = []
        monkeypatch.setattr(rtc.Room, "connect", self._connect)
        monkeypatch.setattr(rtc.Room, "disconnect", self._disconnect)

    async def _connect(self, *_: object) -> None:
        try:
            await self.opens.wait()
        except asyncio.CancelledError:
            self.log.append("cut short")
            raise
        self.log.append("in")

    async def _disconnect(self, *_: object) -> None:
        self.log.append("out")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(monkeypatch)


async def test_join_that_took_too_long_goes_on_and_is_left_once_it_is_in(server: Server) -> None:
    room = DataRoom(lambda *_: None)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await room.join("ws://there", "token")
    leaving = asyncio.create_task(room.leave())
    await asyncio.sleep(0)
    assert server.log == []
    server.opens.set()
    await leaving
    assert server.log == ["in", "out"]


async def test_leaving_goes_on_where_nobody_waits_for_it(server: Server) -> None:
    room = DataRoom(lambda *_: None)
    joining = asyncio.create_task(room.join("ws://there", "token"))
    await asyncio.sleep(0)
    joining.cancel()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await room.leave()
    server.opens.set()
    async with asyncio.timeout(10):
        while server.log != ["in", "out"]:  # noqa: ASYNC110 - nobody is left to tell
            await asyncio.sleep(0)


async def test_join_that_failed_is_left_in_peace(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise rtc.ConnectError("no")

    monkeypatch.setattr(rtc.Room, "connect", refuse)
    room = DataRoom(lambda *_: None)
    with pytest.raises(rtc.ConnectError):
        await room.join("ws://there", "token")
    await room.leave()
    assert server.log == ["out"]
