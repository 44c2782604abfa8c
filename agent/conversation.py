"""One conversation.

Wires the session to the call's policies and facts, and runs it to its ending.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import structlog
from livekit import rtc
from livekit.agents import AgentSession, RunContext, llm
from livekit.agents.voice import SpeechHandle, room_io
from livekit.agents.voice.events import (
    AgentStateChangedEvent,
    SpeechCreatedEvent,
    UserInputTranscribedEvent,
    UserStateChangedEvent,
)

from agent.account import Account
from agent.bot import Bot
from agent.ending import Ending
from agent.key_tools import key_tools
from agent.latency import TurnClock
from agent.leg_watch import Leg, LegWatch
from agent.line import BridgeLine, Line
from agent.line_cache import Synthesize
from agent.link import Link
from agent.manners import WRITTEN_PATIENCE, GiveUp, Prompt, SilencePolicy
from agent.patience import Patience
from agent.prefetch import Prefetch
from agent.providers import Engines
from agent.speaking import follow
from agent.telephone import SPEECH_TAIL_S, Telephone
from agent.tools import built_in_tools, declared_tools
from agent.vigil import DEAF, Vigil
from agent.visitor import Visitor
from contracts.ids import KEYED, PRESSING
from contracts.outcome import Reason
from contracts.plan import AgentPlan
from contracts.report import ConversationStarted, UsageCounted
from contracts.transfer import METHODS
from contracts.zone import zone_of

log = structlog.get_logger(__name__)

_GOODBYE_S = 15.0
"""No closing line is waited for longer than this."""
_CLOSE_S = 5.0
_LAST_WORDS_S = 1.2


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
        speak: Synthesize | None = None,
        line: Line | None = None,
        leg: Leg | None = None,
        visitor: Visitor | None = None,
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
        self._speak = speak or engines.synthesize
        self._greeting = (
            plan.config.recovery_message if plan.history else plan.config.opening_message
        )
        self._greeting_audio: Prefetch | None = None
        self._session: AgentSession[None] = engines.session(plan.config)
        self._vigil = Vigil(
            self._session,
            self._fail,
            account.notice,
            is_excused=lambda: self._phone.is_waiting or self._is_alone,
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
        self._bot = self._make_bot()
        self._listen()

    async def start(self) -> None:
        """Get ready to speak: session running, greeting synthesised."""
        if self._greeting and not self._plan.text_only:
            # Made while the session starts: whoever answered at once is waiting for it.
            self._greeting_audio = Prefetch(self._speak(self._greeting))
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
        await self._session.start(
            self._bot,
            room=self._room,
            room_options=room_io.RoomOptions(
                audio_input=False,
                audio_output=False,
                text_input=False,
                text_output=False,
                participant_identity=self._plan.caller_identity,
                close_on_disconnect=False,
            ),
            session_host=False,
            record=False,
        )

    async def run(self, answered: asyncio.Event) -> Ending:
        """Talk from the answer to the end, and return it."""
        waiting = asyncio.ensure_future(answered.wait())
        await self._either(waiting)
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
        self.end(Reason.PIPELINE_FAILED, why)

    async def _talk(self) -> None:
        self._tell(ConversationStarted(at=datetime.now(UTC)))
        self._phone.begin()
        try:
            self._greet()
            if self._visitor is not None:
                self._visitor.begin()
            async with asyncio.TaskGroup() as tasks:
                watch = tasks.create_task(self._watch_silence())
                cap = tasks.create_task(self._watch_duration())
                await asyncio.wait({self._ending})
                watch.cancel()
                cap.cancel()
        except* Exception as errors:
            log.exception("conversation failed")
            self.end(Reason.PIPELINE_FAILED, type(errors.exceptions[0]).__name__)

    def _greet(self) -> None:
        # However long the phone rang, that was no silence.
        self._silence.restart()
        if self._greeting_audio is not None:
            handle = self._session.say(self._greeting, audio=self._greeting_audio.frames())
            handle.add_done_callback(self._on_greeted)
        elif self._greeting:
            self._session.say(self._greeting)

    def _on_greeted(self, _: SpeechHandle) -> None:
        if self._greeting_audio is not None and self._greeting_audio.error is not None:
            # Without a voice the caller would be left in silence, and then be blamed for it.
            self.end(Reason.PIPELINE_FAILED, type(self._greeting_audio.error).__name__)

    async def _close(self, ending: Ending) -> None:
        if self._visitor is not None:
            await self._visitor.see_out(ending)
        if not ending.by_bot:
            await self._last_words()
        else:
            await self._phone.hang_up()
        self._vigil.close()
        self._phone.close()
        self._link.output.abandon()
        if self._greeting_audio is not None:
            await self._greeting_audio.aclose()
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._session.aclose()
                await self._engines.aclose()
                if self._visitor is not None:
                    await self._visitor.aclose()
        except TimeoutError:
            log.warning("session did not close in time", timeout_s=_CLOSE_S)
        # Not before: closing the session may still take up the caller's last turn.
        self._account.close()
        self._tell(UsageCounted(at=datetime.now(UTC), usage=self._usage()))

    async def end_after_goodbye(self, context: RunContext[Any]) -> str | None:
        """End the call once the line that led here was heard.

        Return why not, if the caller cut in.
        """
        self._bot.is_closing = True
        try:
            await context.wait_for_playout()
        finally:
            self._bot.is_closing = False
        if context.speech_handle.interrupted:
            return "The caller cut in before the goodbye was over. Listen to them first."
        self.end(Reason.BOT_ENDED)
        return None

    async def leave_voicemail(self, context: RunContext[Any]) -> None:
        """Leave the bot's message on a machine and hang up."""
        context.disallow_interruptions()
        await context.wait_for_playout()
        await self._say_and_wait(self._config.voicemail_message)
        self.end(Reason.VOICEMAIL)

    async def _watch_silence(self) -> None:
        async for due in self._silence.long_silences():
            match due:
                case Prompt(text, number):
                    self._account.notice("re_engaged", number=number)
                    self._session.say(text)
                case GiveUp(reason):
                    if reason is Reason.DEAD_AIR:
                        await self._say_and_wait(self._config.closing_message)
                    if reason is Reason.NO_RESPONSE and self._vigil.is_deaf:
                        self.end(Reason.PIPELINE_FAILED, DEAF)
                    self.end(reason)
                    return

    async def _watch_duration(self) -> None:
        await asyncio.sleep(self._config.max_call_duration_seconds)
        self._account.notice("max_duration_reached")
        if not self._phone.is_held:
            await self._say_and_wait(self._config.closing_message)
        self.end(Reason.MAX_DURATION)

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
        self._silence.weigh()

    def _on_agent_state(self, _: AgentStateChangedEvent) -> None:
        self._silence.weigh()

    def _on_speech(self, event: SpeechCreatedEvent) -> None:
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

    def _is_quiet(self) -> bool:
        session = self._session
        if self._phone.is_waiting or self._is_alone:
            return False
        is_busy = session.agent_state in ("thinking", "speaking")
        return session.user_state != "speaking" and not is_busy

    def _on_transcribed(self, event: UserInputTranscribedEvent) -> None:
        if self._account.on_transcribed(event):
            self._silence.heard_caller()
            self._phone.spoken()

    def _on_backchannel(self, text: str) -> None:
        self._vigil.heard()
        self._silence.heard_caller()
        self._account.said_over_bot(text)
        if self._visitor is not None:
            self._visitor.said_over_bot(text)

    def _make_bot(self) -> Bot:
        can_transfer = self._plan.channel in METHODS and bool(
            self._config.transfer_targets or self._config.transfer_numbers
        )
        has_keys, can_press = (self._plan.channel in doors for doors in (KEYED, PRESSING))
        tools: list[llm.Tool | llm.Toolset] = [
            *built_in_tools(self._config, self, self._phone, self._tell, can_transfer=can_transfer),
            *(
                key_tools(self._config, self._phone, self._tell, can_press=can_press)
                if has_keys
                else []
            ),
            *declared_tools(self._engines.rules, self._local_now, self._tell),
        ]
        history = llm.ChatContext.empty()
        for line in self._plan.history:
            role = "assistant" if line.speaker == "bot" else "user"
            history.add_message(role=role, content=line.text)  # type: ignore[arg-type]
        return Bot(
            instructions=self._config.instructions,
            tools=tools,
            chat_ctx=history,
            output=self._link.output,
            turns=self._turns,
            min_words_interruption=self._config.min_words_interruption,
            on_backchannel=self._on_backchannel,
            on_final=self._engines.on_final,
            is_leaving=lambda: self._phone.is_away,
        )

    def _local_now(self) -> datetime:
        return datetime.now(zone_of(self._config.timezone))

    async def _say_and_wait(self, text: str) -> None:
        """Say a line that cannot be interrupted, and return once it was heard."""
        if not text:
            return
        await self._either(asyncio.ensure_future(self._phone.back()))
        if self._phone.is_away or self._ending.done():
            return
        try:
            # Not the session's own `interrupt`: it would cancel the tool that may be waiting here.
            if (current := self._session.current_speech) is not None:
                current.interrupt(force=True)
            handle: SpeechHandle = self._session.say(text, allow_interruptions=False)
        except RuntimeError:
            log.warning("line not said: the session is closing")
            return
        while not handle.done() and not self._ending.done():
            waiting = asyncio.ensure_future(handle.wait_for_playout())
            await self._either(waiting, timeout_s=_GOODBYE_S)
            if not self._phone.is_held:
                break
            # Nobody heard it meanwhile: it goes on when the caller is back.
            await self._either(asyncio.ensure_future(self._phone.back()))

    async def _either(self, waiting: asyncio.Future[Any], timeout_s: float | None = None) -> None:
        """Return when `waiting` is done or the conversation has ended."""
        both: set[asyncio.Future[Any]] = {waiting, self._ending}
        await asyncio.wait(both, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()

    async def _last_words(self) -> None:
        """Let a sentence that the hang-up cut short still reach the transcript."""
        if not self._account.half_heard and self._session.user_state != "speaking":
            return
        self._link.input.push_silence(SPEECH_TAIL_S)
        try:
            async with asyncio.timeout(2 * _LAST_WORDS_S):
                await self._session.commit_user_turn(
                    transcript_timeout=_LAST_WORDS_S, skip_reply=True
                )
        except (TimeoutError, RuntimeError):
            # A RuntimeError means that the session has closed, and the words went with it.
            self._account.notice("last_words_unclear")

    def _usage(self) -> dict[str, Any]:
        models = self._session.usage.model_usage
        return {"models": [model.model_dump(mode="json") for model in models]}
