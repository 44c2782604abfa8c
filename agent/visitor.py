"""Somebody in a browser: they read what is said, may type, and are told how the call ended."""

from __future__ import annotations

import asyncio

import structlog
from livekit import rtc
from livekit.agents import AgentSession, llm
from livekit.agents.voice.events import UserInputTranscribedEvent

from agent.account import Account
from agent.caller import Caller
from agent.captions import Captions, CaptionText
from agent.chat import TYPED, Chat
from agent.ending import Ending
from agent.patience import Patience
from agent.room_audio import RoomAudioOutput
from agent.speech.keys import pressed_in
from contracts.ids import ENDED_ATTRIBUTE
from contracts.outcome import outcome

log = structlog.get_logger(__name__)

_LAST_WORDS_S = 1.0
_TELL_S = 2.0
_SENTENCE_S = 4.0
"""How long a message waits for a sentence that is being said: a turn that ends after it would cut
its answer off."""


class Visitor:
    """One visitor's screen and keyboard.

    `attach` before the session starts, `begin` once the bot talks, `see_out` before it hangs up.

    Args:
        room: where they are.
        caller: which of those in the room they are.
        text_only: whether they have no audio, so that all is read.
    """

    def __init__(self, room: rtc.Room, caller: Caller, *, text_only: bool) -> None:
        self._room = room
        self._caller = caller
        self._text_only = text_only
        self._captions = Captions(room, caller)
        self._session: AgentSession[None] | None = None
        self._silence: Patience | None = None
        self._chat: Chat | None = None
        self._account: Account | None = None
        self._typed: asyncio.Queue[str] = asyncio.Queue()
        self._heard = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_told = False

    def attach(
        self,
        session: AgentSession[None],
        output: RoomAudioOutput,
        *,
        silence: Patience,
        account: Account,
    ) -> None:
        """Show what both sides say from now on, and listen for what is typed.

        Args:
            session: the conversation's.
            output: the bot's voice.
            silence: is told of what is typed, which is as good as words.
            account: told of messages that were refused; knows what was said and not taken up.
        """
        self._session = session
        self._silence = silence
        self._account = account
        self._tasks = [
            asyncio.create_task(self._captions.run()),
            asyncio.create_task(self._answer()),
        ]
        self._chat = Chat(
            self._room,
            self._caller,
            take=self._take,
            typing=silence.restart,
            refused=lambda why: account.notice("message_refused", reason=why),
        )
        self._chat.open()
        session.on("user_input_transcribed", self._on_transcribed)
        session.on("user_state_changed", lambda _: self._heard.set())
        session.on("conversation_item_added", lambda _: self._heard.set())
        if self._text_only:
            session.output.transcription = CaptionText(self._captions)
        else:
            output.show(self._captions)

    def begin(self) -> None:
        """The bot talks: what was typed before is answered."""
        if self._chat is not None:
            self._chat.begin()

    def said_over_bot(self, text: str) -> None:
        """They said something that did not cut the bot off."""
        self._hear(text, is_final=True)

    async def see_out(self, ending: Ending) -> None:
        """Take nothing any more; if the bot hangs up, let them read the last words, and tell why.

        Nothing is told twice.
        """
        if self._chat is not None:
            self._chat.close()
            self._chat = None
        if self._is_told or not ending.by_bot or not self._room.isconnected():
            return
        self._is_told = True
        await self._captions.sent(_LAST_WORDS_S)
        try:
            async with asyncio.timeout(_TELL_S):
                await self._room.local_participant.set_attributes(
                    {ENDED_ATTRIBUTE: outcome(ending.reason).disconnected_by}
                )
        except Exception as error:
            # The SDK has no error of its own for this, and the call is over whatever it is.
            log.info("ending not told", error=type(error).__name__)

    async def aclose(self) -> None:
        """Show nothing any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _take(self, text: str) -> None:
        assert self._silence is not None
        self._silence.heard_caller()
        self._silence.restart()
        self._typed.put_nowait(text)

    async def _answer(self) -> None:
        """Have messages answered as if they had been said, each after what was said before it."""
        while True:
            text = await self._typed.get()
            try:
                async with asyncio.timeout(_SENTENCE_S):
                    while self._is_talking():
                        self._heard.clear()
                        await self._heard.wait()
            except TimeoutError:
                log.info("message answered amid a sentence")
            self._reply(text)

    def _is_talking(self) -> bool:
        assert self._session is not None
        assert self._account is not None
        return self._session.user_state == "speaking" or self._account.is_mid_turn

    def _reply(self, text: str) -> None:
        assert self._session is not None
        current = self._session.current_speech
        if current is not None and current.allow_interruptions:
            current.interrupt()
        # Nobody types keys: whoever has some sends them as such.
        words = text.strip("[]") if pressed_in(text) else text
        message = llm.ChatMessage(role="user", content=[words], extra={TYPED: True})
        try:
            self._session.generate_reply(user_input=message)
        except RuntimeError:
            log.warning("message not answered: the session is closing")

    def _on_transcribed(self, event: UserInputTranscribedEvent) -> None:
        self._heard.set()
        self._hear(event.transcript.strip(), is_final=event.is_final)

    def _hear(self, text: str, *, is_final: bool) -> None:
        if self._chat is not None and text:
            self._chat.spoken()
        self._captions.heard(text, is_final=is_final)
