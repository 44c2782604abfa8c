"""A softphone for the dialler's stream: places a call, speaks, and hears it as a phone would.

    async with Phone.call("ws://127.0.0.1:8010/ws/desk", caller_id="+10000000001") as phone:
        await phone.say(pcm)
        await phone.hear(silence_s=1.0)

It sends 20 ms of caller audio every 20 ms, silence included, as real diallers do. All times it
tells are seconds since `answer`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bridges.clock import Clock
from bridges.handset import CONNECT_TIMEOUT_S, FRAME_S, Handset
from bridges.race import cancel, within
from bridges.wire.dialler_event import BotAudio, BotHungUp, BotStopped, TransferAsked
from bridges.wire.dialler_phone import DiallerPhone, PhoneState

__all__ = ["FRAME_S", "Phone"]


class Phone(Handset):
    """One call from the dialler's side. Made by `Phone.call`.

    Attributes:
        hung_up: what the bot said when it hung up, or None.
        transfer: where the bot wanted the caller connected to, or None.
    """

    def __init__(
        self, connection: ClientConnection, clock: Clock, *, jitter_buffer_s: float = 0.0
    ) -> None:
        super().__init__(connection, clock, jitter_buffer_s=jitter_buffer_s)
        self.hung_up: str | None = None
        self.transfer: TransferAsked | None = None
        self._protocol = DiallerPhone()

    @classmethod
    @asynccontextmanager
    async def call(
        cls,
        url: str,
        *,
        caller_id: str = "+10000000001",
        did: str = "10000000002",
        direction: str = "incoming",
        stream_id: str = "softphone",
        fields: Mapping[str, Any] | None = None,
        token: str = "",
        ring_s: float = 0.0,
        jitter_buffer_s: float = 0.0,
        clock: Clock | None = None,
    ) -> AsyncIterator[Phone]:
        """Place a call, ring for `ring_s`, answer it, and hang up at the end of the block.

        Raises:
            websockets.exceptions.InvalidStatus: refused before the upgrade.
        """
        headers = {"X-Stream-Token": token} if token else None
        async with connect(
            url, additional_headers=headers, compression=None, open_timeout=CONNECT_TIMEOUT_S
        ) as connection:
            phone = cls(connection, clock or Clock(), jitter_buffer_s=jitter_buffer_s)
            offer = {"callerId": caller_id, "did": did, "callDirection": direction}
            phone._protocol.connect({**offer, "streamId": stream_id, **(fields or {})})
            phone._start_listening()
            try:
                await phone._answer(stream_id, ring_s)
                yield phone
                await phone.hang_up()
            finally:
                await cancel(*phone._tasks)

    async def hang_up(self, disconnected_by: str = "customer") -> None:
        """Put the phone down, unless the call is over."""
        if self._protocol.state is not PhoneState.CLOSED:
            self._protocol.hang_up(disconnected_by)
        try:
            await self._flush()
        except ConnectionClosed:
            return
        await self._connection.close()

    @property
    def _is_talking(self) -> bool:
        return self._protocol.state is PhoneState.ANSWERED

    async def _answer(self, stream_id: str, ring_s: float) -> None:
        self._protocol.start(stream_id)
        await self._send_safely()
        if await within(ring_s, self._closed.wait()):
            return
        self._protocol.answer()
        self._pick_up()
        await self._send_safely()
        self._start_speaking()

    def _send_frame(self, pcm: bytes) -> None:
        self._protocol.send_media(pcm)

    def _outgoing(self) -> list[str]:
        return self._protocol.outgoing()

    def _take(self, message: bytes | str) -> None:
        for event in self._protocol.receive(message):
            match event:
                case BotAudio():
                    self._play(event.pcm)
                case BotStopped():
                    self._clear()
                case BotHungUp():
                    self.hung_up = event.message
                case TransferAsked():
                    self.transfer = event
