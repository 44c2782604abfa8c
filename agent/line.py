"""How the agent has its caller's line hung up, handed over or keys pressed on it.

A bridge is told by data, what came of it comes back as news. Where there is none the sidecar asks
LiveKit SIP, and answers.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

import structlog
from livekit import rtc
from livekit.rtc.participant import PublishDataError, PublishDTMFError

from contracts.command import (
    AnyCommand,
    CallCommand,
    HangUp,
    SendDigits,
    Transfer,
    serialize_command,
)
from contracts.ids import COMMAND_TOPIC
from contracts.plan import AgentPlan
from sidecar.client import SidecarClient, SidecarError

log = structlog.get_logger(__name__)

NOT_SENT = "the line did not take the request"
PAUSE_S = 0.5
"""What a `,` among digits stands for."""
KEY_S = 0.54
"""What LiveKit SIP takes for a key, as measured. It tells nobody when it is done."""
_TIMEOUT_S = 2.0
_HANG_UP_S = 5.0
_CODES = {digit: code for code, digit in enumerate("0123456789*#ABCD")}


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a transfer so far.

    Attributes:
        failed: why it did not come about; "" if it was taken.
        is_final: whether nothing more is to be heard of it.
        is_told: whether somebody else reports that it failed.
    """

    failed: str = ""
    is_final: bool = True
    is_told: bool = False


class Line(Protocol):
    """The caller's line."""

    async def hang_up(self) -> None:
        """End the call. A line that is gone needs no telling."""
        ...

    async def transfer(self, command: Transfer) -> Taken:
        """Hand the caller over."""
        ...

    async def send_digits(self, digits: str) -> bool:
        """Press keys; return whether the line took them."""
        ...


class BridgeLine:
    """A line that a bridge of ours carries."""

    def __init__(self, room: rtc.Room, caller_identity: str) -> None:
        self._room = room
        self._caller_identity = caller_identity

    async def hang_up(self) -> None:
        """End the call."""
        await self._send(HangUp())

    async def transfer(self, command: Transfer) -> Taken:
        """Ask for the caller to be handed over; the bridge tells how that went."""
        return Taken(is_final=False) if await self._send(command) else Taken(NOT_SENT)

    async def send_digits(self, digits: str) -> bool:
        """Press keys."""
        return await self._send(SendDigits(digits=digits))

    async def _send(self, command: AnyCommand) -> bool:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await self._room.local_participant.publish_data(
                    serialize_command(command),
                    reliable=True,
                    destination_identities=[self._caller_identity],
                    topic=COMMAND_TOPIC,
                )
        except (PublishDataError, TimeoutError) as error:
            log.warning("command not sent", command=command.type, error=type(error).__name__)
            return False
        return True


class ManagedLine:
    """A line that LiveKit carries: the sidecar has done what only the server can do."""

    def __init__(self, room: rtc.Room, client: SidecarClient, plan: AgentPlan) -> None:
        self._room = room
        self._client = client
        self._plan = plan

    async def hang_up(self) -> None:
        """End the call."""
        try:
            async with asyncio.timeout(_HANG_UP_S):
                await self._ask(HangUp())
        except (SidecarError, TimeoutError) as error:
            # The call's end is reported all the same, and its room closed.
            log.warning("not hung up", error=type(error).__name__)

    async def transfer(self, command: Transfer) -> Taken:
        """Have the caller handed over, and return how that went."""
        try:
            return Taken(await self._ask(command), is_told=True)
        except SidecarError as error:
            log.warning("not transferred", error=type(error).__name__)
            return Taken(NOT_SENT)

    async def send_digits(self, digits: str) -> bool:
        """Press keys, one after the other.

        Returns when the last one is over: what the bot says meanwhile would be lost to the tones.
        """
        for digit in digits:
            if digit not in _CODES:
                await asyncio.sleep(PAUSE_S)
                continue
            try:
                await self._room.local_participant.publish_dtmf(code=_CODES[digit], digit=digit)
            except PublishDTMFError:
                log.warning("digits not sent")
                return False
            await asyncio.sleep(KEY_S)
        return True

    async def _ask(self, command: HangUp | Transfer) -> str:
        """Have it done; return why not, or ""."""
        asked = CallCommand(incarnation=self._plan.incarnation, command=command)
        receipt = await self._client.command(self._plan.call_id, asked)
        return "" if receipt.done else receipt.failed_reason or NOT_SENT
