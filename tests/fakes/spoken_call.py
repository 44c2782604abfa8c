"""A conversation on a real session: scripted engines, a bridge that plays in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

from agent.account import Account
from agent.apology import Apology
from agent.conversation import Conversation
from agent.ending import Ending
from agent.kept_lines import KeptLines
from agent.knowledge import Ask
from agent.line import Line
from agent.line_cache import LineCache
from agent.room_audio import MediaLink
from agent.web import Web
from contracts.bot import BotConfig
from contracts.fixed_line import fixed_lines
from contracts.ids import HOLD_ATTRIBUTE, Channel, caller_identity
from contracts.outcome import Reason
from contracts.plan import AgentPlan
from contracts.report import Fact, Noticed, TranscriptLine
from tests.fakes.engines import ScriptedEngines
from tests.fakes.phone_room import PhoneRoom

CALL_ID = "6f1c7d52-92a4-4c5e-9a39-0d3c1f0a7b11"
GREETING = "Hello, how can I help you?"


def plan(
    channel: Channel = Channel.WEBSOCKET,
    call_direction: Literal["incoming", "outgoing"] = "incoming",
    **config: Any,
) -> AgentPlan:
    settings = {"opening_message": GREETING, "turn": {"min_delay_s": 0.1}, **config}
    return AgentPlan(
        call_id=CALL_ID,
        session_id=CALL_ID,
        incarnation=1,
        channel=channel,
        call_direction=call_direction,
        caller_identity=caller_identity(CALL_ID),
        config=BotConfig.model_validate(settings),
    )


class Call:
    """One conversation under test, and what came of it."""

    def __init__(
        self,
        scripted: ScriptedEngines,
        *,
        line: Line | None = None,
        held: bool = False,
        web: Web | None = None,
        cache: LineCache | None = None,
        look_up: Ask | None = None,
        apology: Apology | None = None,
        **config: Any,
    ) -> None:
        self.caller = scripted.stt
        self.llm = scripted.llm
        self.tts = scripted.tts
        self.facts: list[Fact] = []
        self.room = PhoneRoom(caller_identity(CALL_ID))
        if held:
            self.room.caller.attributes[HOLD_ATTRIBUTE] = "1"
        self.answered = asyncio.Event()
        anything: Any = self.room
        self.link = MediaLink(
            anything,
            caller_identity=caller_identity(CALL_ID),
            rate_hz=8000,
            clock=asyncio.get_running_loop().time,
            on_audio=lambda *_: None,
        )
        engines = scripted.engines()
        made = plan(**config)
        lines = None
        if cache is not None:
            made = made.model_copy(update={"fixed_lines": fixed_lines(made.config)})
            lines = KeptLines(made, cache, engines)
        self.conversation = Conversation(
            plan=made,
            room=anything,
            link=self.link,
            engines=engines,
            lines=lines,
            account=Account(self.facts.append),
            line=line,
            web=web,
            look_up=look_up,
            apology=apology,
        )
        self.running: asyncio.Task[Ending] | None = None

    async def ended(self, timeout_s: float = 120.0) -> Ending:
        assert self.running is not None
        async with asyncio.timeout(timeout_s):
            return await self.running

    async def until(self, happened: Callable[[], bool], timeout_s: float = 60.0) -> None:
        """Wait, in virtual time, until something is so."""
        async with asyncio.timeout(timeout_s):
            while not happened():  # noqa: ASYNC110 - virtual time costs nothing
                await asyncio.sleep(0.01)

    async def lines(self, count: int) -> None:
        """Wait until so many lines are in the transcript."""
        await self.until(lambda: len(self.transcript()) >= count)

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def transcript(self) -> list[tuple[str, str]]:
        return [(f.speaker, f.text) for f in self.facts if isinstance(f, TranscriptLine)]

    def said(self, speaker: str) -> list[str]:
        return [text for who, text in self.transcript() if who == speaker]

    def noticed(self) -> list[str]:
        return [fact.name for fact in self.facts if isinstance(fact, Noticed)]

    def notices(self, name: str) -> list[Noticed]:
        return [f for f in self.facts if isinstance(f, Noticed) and f.name == name]

    def types(self) -> list[str]:
        return [fact.type for fact in self.facts]


@asynccontextmanager
async def calling(
    *replies: str | tuple[str, str, str],
    answer: bool = True,
    line: Line | None = None,
    **config: Any,
) -> AsyncIterator[Call]:
    async with running(Call(ScriptedEngines(*replies), line=line, **config), answer) as call:
        yield call


@asynccontextmanager
async def running(call: Call, answer: bool = True) -> AsyncIterator[Call]:
    sending = asyncio.create_task(call.link.run())
    await call.conversation.start()
    call.running = asyncio.create_task(call.conversation.run(call.answered))
    if answer:
        call.room.answer()
        call.answered.set()
    try:
        yield call
    finally:
        call.conversation.end(Reason.ROOM_LOST, by_bot=False)
        await asyncio.wait({call.running})
        sending.cancel()
        await call.room.stop()
        call.link.close()
