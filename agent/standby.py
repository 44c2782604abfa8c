"""An agent without a call: it waits in a room of its own until the sidecar has one for it."""

from __future__ import annotations

import asyncio
import contextvars
import time
from typing import Any

import structlog
from livekit import rtc

from agent.account import Account
from agent.conversation import Conversation
from agent.providers import build_engines
from agent.room_audio import MediaLink
from contracts.bot import BotConfig
from contracts.ids import Channel
from contracts.outcome import Reason
from contracts.plan import AgentPlan, Wait
from sidecar.client import Refused, SidecarClient, SidecarError

log = structlog.get_logger(__name__)

ALONE_S = 60.0
"""How long it waits for a sidecar that does not answer."""
RETRY_S = 0.2
REHEARSAL_S = 0.6
_NOBODY = "00000000-0000-4000-8000-000000000000"


async def wait_for_call(
    client: SidecarClient, room: rtc.Room, standby_id: str, worker_id: str
) -> AgentPlan | None:
    """Return the plan of the call it is given; None if it is to leave, or its room is gone."""
    left = asyncio.Event()

    def on_left(_: Any) -> None:
        left.set()

    room.on("disconnected", on_left)
    asking = asyncio.create_task(_ask(client, standby_id, worker_id))
    leaving = asyncio.create_task(left.wait())
    try:
        await asyncio.wait({asking, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return asking.result() if asking.done() else None
    finally:
        room.off("disconnected", on_left)
        asking.cancel()
        leaving.cancel()


async def _ask(client: SidecarClient, standby_id: str, worker_id: str) -> AgentPlan | None:
    loop = asyncio.get_running_loop()
    heard_at = loop.time()
    while loop.time() - heard_at < ALONE_S:
        try:
            plan = await client.wait(standby_id, Wait(worker_id=worker_id))
        except Refused as error:
            log.info("not wanted any more", code=error.code)
            return None
        except SidecarError:
            await asyncio.sleep(RETRY_S)
            continue
        if plan is not None:
            return plan
        heard_at = loop.time()
    log.warning("nobody asked for this agent", waited_s=ALONE_S)
    return None


async def rehearse_conversation() -> None:
    """Hold a conversation with nobody: the first session of a process takes 0.7 s longer to start.

    It has a context of its own, so that the job's real session is its first.
    """
    await asyncio.create_task(_converse_with_nobody(), context=contextvars.Context())


async def _converse_with_nobody() -> None:
    plan = AgentPlan(
        call_id=_NOBODY,
        session_id=_NOBODY,
        incarnation=1,
        channel=Channel.WEBSOCKET,
        call_direction="incoming",
        caller_identity=_NOBODY,
        config=BotConfig(opening_message="Hello."),
    )
    room = rtc.Room()
    link = MediaLink(
        room,
        caller_identity=_NOBODY,
        rate_hz=plan.media_rate_hz,
        clock=time.time,
        on_audio=lambda *_: None,
    )
    account = Account(lambda _: None)
    conversation = Conversation(
        plan=plan,
        room=room,
        link=link,
        engines=build_engines(plan, account.intend),
        account=account,
    )
    answered = asyncio.Event()
    answered.set()
    await conversation.start()
    talking = asyncio.create_task(conversation.run(answered))
    link.input.push_silence(REHEARSAL_S)
    await asyncio.sleep(REHEARSAL_S)
    conversation.end(Reason.CALLER_HUNG_UP, by_bot=False)
    await talking
    link.close()
