"""One conversation.

Wires the session to the call's policies and facts, and runs it to its ending.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import structlog
from livekit import rtc
from livekit.agents import AgentSession, RunContext
from livekit.agents.voice.events import (
    AgentStateChangedEvent,
    SpeechCreatedEvent,
    UserInputTranscribedEvent,
    UserStateChangedEvent,
)

from agent.account import Account
from agent.announcer import Announcer
from agent.apology import Apology
from agent.bot import Bot
from agent.breakdown import Breakdown
from agent.ending import Ending
from agent.engines import Engines
from agent.entrance import enter
from agent.etiquette import Etiquette
from agent.kept_lines import KeptLines
from agent.knowledge import Ask
from agent.last_words import last_words
from agent.latency import TurnClock
from agent.leg_watch import Leg, LegWatch
from agent.limits import Limits
from agent.line import BridgeLine, Line
from agent.link import Link
from agent.machine.detection import Detection
from agent.manners.silence import WRITTEN_PATIENCE, SilencePolicy
from agent.opening import Opening
from agent.patience import Patience
from agent.realtime import RealtimeTalk
from agent.speaking import follow
from agent.telephone import Telephone
from agent.toolbox import Toolbox, can_transfer, history_of
from agent.usage import usage_of
from agent.vigil import DEAF, Vigil
from agent.visitor import Visitor
from agent.web import Web
from contracts.outcome import Reason
from contracts.plan import AgentPlan
from contracts.report import ConversationStarted, UsageCounted
from sidecar.client import EgressGuard

log = structlog.get_logger(__name__)

_CLOSE_S = 5.0


class Conversation:
    """Everything between a claimed plan and an `Ending`.

    The first ending wins. `run` returns once the goodbye was heard and the last words are in the
    transcript.
    """

    def __init__(
        self,
        *,
        plan: AgentPlan,
        room: rtc.Room,
        link: Link,
        engines: Engines,
        account: Account,
        lines: KeptLines | None = None,
        line: Line | None = None,
        leg: Leg | None = None,
        visitor: Visitor | None = None,
        web: Web | None = None,
        apology: Apology | None = None,
        look_up: Ask | None = None,
    ) -> None:
        self._plan = plan
        self._config = plan.config
        self._room = room
        self._link = link
        self._visitor = visitor
        self._is_alone = False
        self._account = account
        self._tell = account.tell
        self._turns = TurnClock(link.clock, link.leg_clock, link.ear, account.tell)
        link.output.watch(self._turns)
        policy = SilencePolicy(plan.config, WRITTEN_PATIENCE if plan.text_only else 1.0)
        self._silence = Patience(policy, self._is_quiet)
        loop = asyncio.get_running_loop()
        self._ending: asyncio.Future[Ending] = loop.create_future()
        self._engines = engines
        self._lines = lines
        self._opening = Opening(plan, lines.speak if lines else engines.synthesize, self._fail)
        self._session: AgentSession[None] = engines.session(plan.config)
        self._announcer = Announcer(self._session, self._ending)
        self._vigil = Vigil(
            self._session,
            self._fail,
            account.notice,
            is_excused=lambda: (
                self._is_waiting or self._toolbox.is_at_work or self._detection.has_words
            ),
            answer_s=plan.config.realtime.answer_s if plan.config.realtime else 0.0,
        )
        self._realtime: RealtimeTalk | None = None
        if engines.realtime is not None:
            self._realtime = RealtimeTalk(
                self._session,
                engines.realtime,
                self._turns,
                link.output,
                account.notice,
                self._fail,
            )
        self._phone = Telephone(
            plan=plan,
            line=line or BridgeLine(room, plan.caller_identity),
            leg=leg or LegWatch(room, plan.caller_identity, account.tell),
            session=self._session,
            link=link,
            account=account,
            takes_digits=engines.takes_digits,
            say=self._say_and_wait,
            end=self.end,
            silence=self._silence,
        )
        self._breakdown = Breakdown(
            plan.config.resilience,
            apology or Apology(""),
            announce=lambda text, audio: self._announcer.say(text, self._phone, audio),
            is_taken_over=self._phone.is_taken_over,
            hand_over=self._phone.hand_over if can_transfer(plan) else None,
            end=self.end,
            notice=account.notice,
        )
        engines.follow_switches(account.notice)
        web = web or Web(EgressGuard(allow_private=False))
        self._toolbox = Toolbox(plan, engines, self, self._phone, account, web, look_up)
        self._etiquette = Etiquette(
            plan=plan,
            session=self._session,
            output=link.output,
            account=account,
            speak=engines.synthesize,
            keep=lines.keep if lines else engines.synthesize,
            change_voice=lambda language: engines.change_voice(plan.config, language),
            on_backchannel=self._on_backchannel,
            on_kept=self._unanswered,
            hang_up=self._on_closure,
            is_excused=lambda: self._is_waiting,
        )
        self._limits = Limits(
            plan.config,
            self._silence,
            self,
            is_held=lambda: self._phone.is_held,
            notice=account.notice,
        )
        self._bot = self._make_bot()
        self._detection = Detection(
            plan, link, self._session, account, self._opening, self._silence, self
        )
        self._listen()

    async def start(self) -> None:
        """Get ready to speak: session running, greeting synthesised."""
        self._opening.prepare()
        if self._lines is not None:
            self._lines.prepare()
        if not self._plan.text_only:
            self._session.input.audio = self._link.input
            self._session.output.audio = self._link.output
        if self._visitor is not None:
            self._visitor.attach(
                self._session,
                self._link.output,
                silence=self._silence,
                account=self._account,
            )
        self._phone.attach()
        self._toolbox.connect(self._bot)
        await enter(self._session, self._bot, self._room, self._plan.caller_identity)

    async def run(self, answered: asyncio.Event) -> Ending:
        """Talk from the answer to the end, and return it."""
        waiting = asyncio.ensure_future(answered.wait())
        await self._announcer.unless_ended(waiting)
        if not self._ending.done():
            await self._talk()
        ending = await self._ending
        await self._close(ending)
        return ending

    def end(
        self, reason: Reason, detail: str = "", *, by_bot: bool = True, at: datetime | None = None
    ) -> None:
        """End the conversation, now or as of `at`; only the first call counts."""
        if not self._ending.done():
            if self._phone.is_handed_over and reason is not Reason.PIPELINE_FAILED:
                reason = Reason.TRANSFERRED
            self._ending.set_result(Ending(reason, at or datetime.now(UTC), detail, by_bot))

    def _fail(self, why: str) -> None:
        # Nobody need hear or think during a goodbye.
        if not self._breakdown.is_parting or self._engines.is_mute:
            self._breakdown.come(why)

    async def _talk(self) -> None:
        self._tell(ConversationStarted(at=datetime.now(UTC)))
        self._breakdown.begin()
        self._phone.begin()
        try:
            self._detection.begin()
            if self._visitor is not None:
                self._visitor.begin()
            await self._limits.watch(self._ending)
        except* Exception as errors:
            log.exception("conversation failed")
            self.end(Reason.PIPELINE_FAILED, type(errors.exceptions[0]).__name__)

    async def _close(self, ending: Ending) -> None:
        if self._visitor is not None:
            await self._visitor.see_out(ending)
        if not ending.by_bot:
            await last_words(self._session, self._link, self._account)
        else:
            await self._phone.hang_up()
        self._vigil.close()
        self._detection.close()
        await self._breakdown.aclose()
        self._etiquette.close()
        self._phone.close()
        self._link.output.abandon()
        await self._opening.aclose()
        if self._lines is not None:
            await self._lines.aclose()
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._session.aclose()
                await self._engines.aclose()
                if self._visitor is not None:
                    await self._visitor.aclose()
        except TimeoutError:
            log.warning("session did not close in time", timeout_s=_CLOSE_S)
        await self._toolbox.aclose()
        # Not before: closing the session may still take up the caller's last turn.
        self._account.close()
        self._tell(UsageCounted(at=datetime.now(UTC), usage=self._usage()))

    async def end_after_goodbye(self, context: RunContext[Any]) -> str | None:
        """End the call once the line that led here was heard; return why not, if they cut in."""
        self._etiquette.is_closing = True
        self._part_for(Reason.BOT_ENDED)
        try:
            await context.wait_for_playout()
        finally:
            self._etiquette.is_closing = False
            self._part_for(None)
        await self._breakdown.over()
        if context.speech_handle.interrupted:
            return "The caller cut in before the goodbye was over. Listen to them first."
        self.end(Reason.BOT_ENDED)
        return None

    async def part(self, reason: Reason, line: str) -> None:
        """Say the call's last line, and end it for this reason once that was heard."""
        self._part_for(reason)
        await self._say_and_wait(line)
        await self._breakdown.over()
        self.end(reason)

    async def leave_voicemail(self, context: RunContext[Any]) -> str | None:
        """Leave the bot's message on a machine and hang up; return why not, if it is a person."""
        return await self._detection.leave_message(context)

    def greeted(self, text: str) -> None:
        """Somebody who took our call said this before they heard the bot."""
        self._unanswered()
        self._account.took_up(text)
        self._remembering = asyncio.create_task(self._bot.remember(text))

    def prompt(self, text: str) -> None:
        """Say something into a silence."""
        self._session.say(text)

    def give_up(self) -> None:
        """Nobody ever spoke, as far as one knows."""
        if self._vigil.is_deaf:
            self._fail(DEAF)
        else:
            self.end(Reason.NO_RESPONSE)

    def _listen(self) -> None:
        on = self._session.on
        on("user_state_changed", self._on_user_state)
        on("agent_state_changed", self._on_agent_state)
        on("speech_created", self._on_speech)
        on("user_input_transcribed", self._on_transcribed)
        on("conversation_item_added", self._account.on_item)
        on("agent_false_interruption", lambda _: self._account.notice("resumed"))
        follow(self._session, self._turns)

    def _on_user_state(self, event: UserStateChangedEvent) -> None:
        self._account.on_user_state(event)
        self._engines.voice(event.new_state == "speaking")
        self._silence.weigh()

    def _on_agent_state(self, _: AgentStateChangedEvent) -> None:
        self._silence.weigh()

    def _on_speech(self, event: SpeechCreatedEvent) -> None:
        if self._lines is not None and event.source == "say":
            self._lines.is_said(event.speech_handle.id)
        # A line that fails before its first sample changes no state.
        event.speech_handle.add_done_callback(lambda _: self._silence.weigh())

    def leave_alone(self, is_alone: bool) -> None:
        """The visitor's connection broke, and may come back; or it is back."""
        self._is_alone = is_alone
        if is_alone:
            self._link.output.hold()
        else:
            self._link.output.release()
        self._silence.restart()

    @property
    def _is_waiting(self) -> bool:
        return self._phone.is_waiting or self._is_alone or self._detection.is_listening

    def _is_quiet(self) -> bool:
        session = self._session
        if self._is_waiting:
            return False
        is_busy = session.agent_state in ("thinking", "speaking")
        return session.user_state != "speaking" and not is_busy

    def _on_transcribed(self, event: UserInputTranscribedEvent) -> None:
        if self._account.on_transcribed(event):
            self._silence.heard_caller()
            self._phone.spoken()

    def _unanswered(self) -> None:
        self._vigil.heard()
        self._silence.heard_caller()
        if self._realtime is not None:
            self._realtime.said_over_bot()

    def _on_backchannel(self, text: str) -> None:
        self._unanswered()
        self._account.said_over_bot(text)
        if self._visitor is not None:
            self._visitor.said_over_bot(text)

    def _on_closure(self, is_callers: bool) -> None:
        line = self._config.closing_message if is_callers else ""
        self._parting = asyncio.create_task(self.part(Reason.BOT_ENDED, line))

    def _part_for(self, reason: Reason | None) -> None:
        self._breakdown.part(reason)
        self._engines.part(reason is not None)

    def _make_bot(self) -> Bot:
        return Bot(
            instructions=self._etiquette.instructions,
            tools=self._toolbox.tools,
            chat_ctx=history_of(self._plan),
            output=self._link.output,
            turns=self._turns,
            realtime=self._realtime,
            pronunciations=self._engines.pronunciations,
            lines=self._lines,
            etiquette=self._etiquette,
            takes=lambda event: self._detection.takes(event),
            on_final=self._engines.on_final,
            on_heard=self._vigil.took,
            is_leaving=lambda: (
                self._phone.is_away or self._breakdown.is_here or self._detection.is_listening
            ),
        )

    async def _say_and_wait(self, text: str) -> None:
        """Say a line that cannot be interrupted, and return once it was heard."""
        # A further failure would close the session, which the apology needs.
        if not self._breakdown.is_here:
            await self._announcer.say(text, self._phone)

    def _usage(self) -> dict[str, Any]:
        cache = self._engines.prompt_cache
        return usage_of(
            self._session.usage.model_usage,
            self._config.prompt_parts,
            is_cache_lost=cache is not None and cache.is_lost,
        )
