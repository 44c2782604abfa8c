"""What the agent tells the bridge of its call to do."""

from __future__ import annotations

import asyncio

import structlog
from livekit import rtc
from livekit.rtc.participant import PublishDataError

from contracts.command import HangUp, Transfer, serialize_command
from contracts.ids import COMMAND_TOPIC

log = structlog.get_logger(__name__)

_TIMEOUT_S = 2.0


async def send_command(room: rtc.Room, caller_identity: str, command: HangUp | Transfer) -> bool:
    """Tell the bridge; return whether it was sent. A room that is gone needs no telling."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            await room.local_participant.publish_data(
                serialize_command(command),
                reliable=True,
                destination_identities=[caller_identity],
                topic=COMMAND_TOPIC,
            )
    except (PublishDataError, TimeoutError) as error:
        log.warning("command not sent", command=command.type, error=type(error).__name__)
        return False
    return True
