"""One conversation's manners: what both sides say is judged, and what follows from it is done."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable

import structlog
from livekit import rtc
from livekit.agents import AgentSession, llm
from livekit.agents.voice import SpeechHandle
from livekit.agents.voice.events import (
    AgentStateChangedEvent,
    ConversationItemAddedEvent,
    SpeechCreatedEvent,
    UserStateChangedEvent,
)

from agent.account import Account
from agent.filler import Filler
from agent.heard import BotLine
from agent.knowledge import standing_order
from agent.line_cache import Synthesize
from agent.manners import phrasebook
from agent.manners.closure import Closing
from agent.manners.floor import Floor, Over, Verdict
from agent.manners.silence import WRITTEN_PATIENCE
from agent.manners.tongue import Tongue
from agent.manners.waiting import Waiting
from agent.manners.words import words
from agent.room_audio import RoomAudioOutput
from contracts.plan import AgentPlan
from contracts.vendor.stt import lets_interrupt

log = structlog.get_logger(__name__)

_BEGINS_WITHIN_S = 0.2
"""How often a line that does not begin for a voice is looked for."""
_LATE_WORDS_S = 2.0
"""How long after a voice a recogniser may still come up with words."""
BE_SHORT = "You were cut off several times in a row: answer in one short sentence."


class Etiquette:
    """Applies a bot's manners to a session.

    Args:
        plan: the call.
        session: the conversation's.
        output: the bot's voice.
        account: takes the facts.
        speak: makes audio of text.
        keep: the same for lines that all callers hear, in the bot's own language.
        change_voice: has the bot speak another language from its next line on.
        on_backchannel: called with words that are no turn of the caller's.
        on_kept: called where words wait for the end of the bot's line.
        hang_up: ends the call; after `closing_message` if the caller has said goodbye.
        is_excused: whether nobody listens, or something else is under way: then no call is ended,
            and nothing said meanwhile.
    """

    def __init__(
        self,
        *,
        plan: AgentPlan,
        session: AgentSession[None],
        output: RoomAudioOutput,
        account: Account,
        speak: Synthesize,
        keep: Synthesize,
        change_voice: Callable[[str], None],
        on_backchannel: Callable[[str], None],
        on_kept: Callable[[], None],
        hang_up: Callable[[bool], None],
        is_excused: Callable[[], bool],
    ) -> None:
        config = plan.config
        self._config = config
        self._manners = config.manners
        self._session = session
        self._output = output
        self._account = account
        self._speak = speak
        self._keep = keep
        self._change_voice = change_voice
        self._on_backchannel = on_backchannel
        self._on_kept = on_kept
        self._hang_up = hang_up
        self._is_excused = is_excused
        self._loop = asyncio.get_running_loop()
        self._floor = Floor(self._manners, config.min_words_interruption)
        self._yields = lets_interrupt(config.stt)
        self._closing = Closing(self._manners.closure)
        self._own = phrasebook.language_of(config)
        self.tongue = Tongue(self._manners.language, self._own)
        self._filler: Filler | None = None
        if not plan.text_only:
            waiting = Waiting(self._manners.filler, phrasebook.FILLERS.get(self._own, ()))
            self._filler = Filler(waiting, output, self._say, self._on_filler, is_excused)
        self._patience = WRITTEN_PATIENCE if plan.text_only else 1.0
        greeting = config.recovery_message if plan.history else config.opening_message
        self._opening = BotLine([(greeting, None)])
        is_guarded = self._manners.opening.enabled and not plan.text_only
        self._is_opening_due = is_guarded and bool(greeting)
        self._lines = 0
        self._is_voice = False
        self._is_over_bot: bool | None = None
        self._is_worded = False
        self._cut_by = ""
        self._kept: list[str] = []
        self._taken_id = ""
        self._leaving: asyncio.TimerHandle | None = None
        self._has_parted = False
        self._insisting: asyncio.TimerHandle | None = None
        self.is_closing = False
        """Whether the bot is saying goodbye: then only more than courtesies cut it off."""
        output.tell_pauses(self._on_pause)
        session.on("user_state_changed", self._on_user_state)
        session.on("agent_state_changed", self._on_agent_state)
        session.on("conversation_item_added", self._on_item)
        session.on("speech_created", self._on_speech)

    @property
    def instructions(self) -> str:
        """What the model is told for the whole call."""
        config = self._config
        orders = [config.instructions, standing_order(config), self.tongue.standing_order]
        return "\n\n".join(order for order in orders if order)

    @property
    def order(self) -> str:
        """What the model is told for its next answer alone, or ""."""
        orders = [self.tongue.order, BE_SHORT if self._floor.is_looping else ""]
        return " ".join(order for order in orders if order)

    def voice_began(self) -> None:
        """The caller makes a sound; told by whoever hears it first."""
        if self._is_voice:
            return
        self._is_voice = True
        self._is_over_bot = self._output.is_heard
        self._is_worded = False
        self._floor.voice_began()

    def voice_ended(self) -> None:
        """They are silent."""
        self._is_voice = False

    def settled(self, text: str) -> str:
        """Return what a final stands for: if the recogniser takes back words that have cut the bot
        off, nobody would say anything any more.
        """
        words_before, self._cut_by = self._cut_by, ""
        return text if words(text) else words_before or text

    def holds(self, text: str, language: str, *, is_final: bool) -> bool:
        """Return whether words of the caller's are kept from the session.

        The bot falls silent at once where they cut it off.
        """
        if not words(text):
            # What was heard so far were no words; a full stop alone is none either.
            self._is_worded = self._is_worded and not is_final
            return bool(text.strip())
        verdict = self._floor.judge(text, self._over(), is_final=is_final)
        if verdict in (Verdict.PASS, Verdict.CUT):
            self._is_worded = True
            if is_final:
                self.tongue.heard(text, language or "")
            if verdict is Verdict.CUT:
                self._cut()
            if verdict is Verdict.CUT or self._cut_by:
                self._cut_by = "" if is_final else text
            return False
        if is_final and verdict is Verdict.KEEP:
            self._put_by(text)
            self._on_kept()
        elif is_final:
            self._on_backchannel(text)
        return True

    def take_up(self, message: llm.ChatMessage) -> bool:
        """Take a turn of the caller's that is over; return whether it is to be answered."""
        turn = message.text_content or ""
        self._floor.taken_up()
        self._is_worded = False
        self._cut_by = ""
        self._taken_id = message.id
        if self.tongue.take_up(turn):
            self._account.notice("language_changed", language=self.tongue.spoken)
            self._change_voice(self.tongue.spoken)
            if self._filler is not None:
                self._filler.usual(phrasebook.FILLERS.get(self.tongue.spoken, ()))
        if self._closing.is_callers_last(turn) and not self._is_excused():
            self._account.took_up(turn)
            self._hang_up(True)
            return False
        if self._filler is not None:
            self._filler.take_up(message.metrics.get("end_of_turn_delay") or 0.0)
        return True

    def begin_line(self, line: BotLine) -> None:
        """The bot is about to say something."""
        self._lines += 1
        if self._lines == 1:
            self._opening = line
        if not self._yields or (line is self._opening and self._manners.opening.enabled):
            line.guard_s = math.inf
        elif line is not self._opening and self._floor.is_looping:
            line.guard_s = self._manners.loop.guard_s

    def close(self) -> None:
        """The conversation is over."""
        if self._filler is not None:
            self._filler.close()
        self._stay()
        self._on_pause(False)
        self._output.tell_pauses(lambda _: None)
        for text in self._kept:
            self._account.said_over_bot(text)
        self._kept.clear()

    def _over(self) -> Over | None:
        line = self._output.speaking_line
        is_over_bot = self._output.is_heard if self._is_over_bot is None else self._is_over_bot
        if self._is_opening_due and line in (None, self._opening):
            # Said before it, or begun before it was heard: people say hello when they pick up.
            left_s = self._output.remaining_s if line else math.inf
            return Over(
                self._opening.text,
                self._output.heard,
                left_s,
                is_opening=True,
                is_late=not is_over_bot,
                is_guarded=not self._yields,
            )
        if line is None or not is_over_bot or self._output.remaining_s <= 0:
            return None
        return Over(
            text=line.text,
            heard=self._output.heard,
            remaining_s=self._output.remaining_s,
            is_goodbye=self.is_closing,
            is_guarded=not self._yields or (self._output.is_guarded and self._floor.is_looping),
        )

    def _cut(self) -> None:
        # Not only once the recogniser is sure: by then the bot may have gone on.
        speech = self._session.current_speech
        if speech is not None and speech.allow_interruptions and not speech.interrupted:
            speech.interrupt()

    def _on_pause(self, is_paused: bool) -> None:
        if self._insisting is not None:
            self._insisting.cancel()
            self._insisting = None
        pauses = self._manners.false_interruption
        if is_paused and not pauses.enabled and self._output.is_heard:
            # Not at once: the session is amid its own doings.
            self._loop.call_soon(self._cut)
        elif is_paused and pauses.longest_pause_s:
            self._insisting = self._loop.call_later(pauses.longest_pause_s, self._insist)

    def _insist(self) -> None:
        """Play on under a voice that says nothing."""
        if self._is_worded:
            self._on_pause(True)
            return
        if self._output.speaking_line is None:
            self._let_begin()
            self._insisting = self._loop.call_later(_BEGINS_WITHIN_S, self._insist)
            return
        # What else this voice says is said over the line, whenever it began.
        self._is_over_bot = True
        self._output.insist()
        self._account.notice("insisted")

    def _let_begin(self) -> None:
        """Have the session begin a line, which it does in a silence alone."""
        activity = self._session._activity
        if activity is not None:
            activity._user_silence_event.set()

    def _on_user_state(self, event: UserStateChangedEvent) -> None:
        is_speaking = event.new_state == "speaking"
        if is_speaking:
            self._put_off()
            self.voice_began()
        else:
            self.voice_ended()
            if self._has_parted:
                # A cough or an "okay" is no reason to stay.
                self._leave_after(max(_LATE_WORDS_S, self._parting_s))
        if self._filler is not None:
            self._filler.disturb(is_speaking)

    def _on_agent_state(self, event: AgentStateChangedEvent) -> None:
        if self._filler is not None:
            self._filler.bot_is(event.new_state)

    def _on_speech(self, event: SpeechCreatedEvent) -> None:
        self._stay()
        event.speech_handle.add_done_callback(self._on_speech_done)

    def _on_speech_done(self, _: SpeechHandle) -> None:
        # The first is the opening, heard or not.
        self._is_opening_due = False

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        message = event.item
        if not isinstance(message, llm.ChatMessage) or not message.text_content:
            return
        if message.role == "user" and message.id != self._taken_id:
            # Pressed or typed: the session takes such turns up by itself.
            self._stay()
            self._floor.taken_up()
            self._is_worded = False
            if self._filler is not None:
                self._filler.take_up(0.0)
        elif message.role == "assistant":
            self._said(message.text_content, interrupted=message.interrupted)

    def _said(self, text: str, *, interrupted: bool) -> None:
        self._floor.said(text, interrupted=interrupted)
        if interrupted or self._kept or self._lines <= 1:
            return
        if self._closing.is_bots_last(text):
            self._has_parted = True
            self._leave_after(self._parting_s)

    def _put_by(self, text: str) -> None:
        self._kept.append(text)
        speech = self._session.current_speech
        if len(self._kept) > 1:
            return
        if speech is None:
            self._loop.call_soon(self._answer_kept)
        else:
            # After the tools that it asks for, too: they may hand the caller over.
            speech.add_done_callback(lambda _: self._answer_kept())

    def _answer_kept(self) -> None:
        text, self._kept = " ".join(self._kept), []
        try:
            if text:
                self._session.generate_reply(user_input=text)
        except RuntimeError:
            self._account.said_over_bot(text)
            log.warning("kept words not answered: the session is closing")

    @property
    def _parting_s(self) -> float:
        return self._patience * self._manners.closure.wait_s

    def _leave_after(self, wait_s: float) -> None:
        self._put_off()
        self._leaving = self._loop.call_later(wait_s, self._leave)

    def _leave(self) -> None:
        self._leaving = None
        is_busy = self._session.agent_state in ("thinking", "speaking") or self._is_worded
        if not is_busy and self._session.user_state != "speaking" and not self._is_excused():
            self._account.notice("closure")
            self._hang_up(False)

    def _stay(self) -> None:
        self._has_parted = False
        self._put_off()

    def _put_off(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None

    def _say(self, text: str) -> AsyncIterator[rtc.AudioFrame]:
        # What is kept was made before the voice changed.
        speak = self._keep if self.tongue.spoken == self._own else self._speak
        return speak(text)

    def _on_filler(self, phrase: str) -> None:
        self._account.notice("filler", text=phrase)
