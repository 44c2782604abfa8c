"""Between the answer and the opening of a call that we placed: finds out who took it.

A person hears the opening, a mailbox its message, an announcement nothing. While it listens, words
go to nobody else: an answer to a recorded greeting would be talked into it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from livekit.agents import AgentSession, RunContext, stt

from agent.account import Account
from agent.link import Link
from agent.machine.greeting import Greeting, Verdict
from agent.machine.host import Host
from agent.machine.listening import Listening
from agent.machine.mailbox import Cue, Mailbox, is_somebody
from agent.machine.message import Message
from agent.machine.phase import AT_MACHINE, Phase, is_wanted
from agent.machine.phrase import MACHINES, Clue, read
from agent.machine.transcript import Transcript, is_final
from agent.machine.voice import Window
from agent.opening import Opening
from agent.patience import Patience
from contracts.ids import PRESSING
from contracts.outcome import Reason
from contracts.plan import AgentPlan

_SETTLE_S = 2.0
"""How long a recogniser may take for the last words of a greeting."""
_MISSED_S = 5.0
_NEW_ATTEMPTS = 3
"""A mailbox that talks on into the message is waited for again, so often."""
_SURE = frozenset({Clue.VOICEMAIL, Clue.SCREENING})
"""What somebody who talks to the bot already does not say by chance."""
_TOO_SOON_S = 1.5
"""Whoever speaks so early in the opening does not answer it."""
TAKEN_BACK = "It was a person after all, and they speak now."


class Detection:
    """One call's. `begin` with the answer; `close` with the conversation.

    Args:
        plan: the call.
        link: its audio.
        session: speaks.
        account: takes the facts.
        opening: what a person is greeted with.
        silence: counts from when the bot talks with somebody.
        host: the conversation.
    """

    def __init__(
        self,
        plan: AgentPlan,
        link: Link,
        session: AgentSession[None],
        account: Account,
        opening: Opening,
        silence: Patience,
        host: Host,
    ) -> None:
        self._plan = plan
        self._config = plan.config.machine_detection
        self._link = link
        self._session = session
        self._account = account
        self._opening = opening
        self._silence = silence
        self._host = host
        self._phase = Phase.OFF
        self._listening: Listening | None = None
        self._greeting = Greeting(self._config)
        self._voice = self._greeting.voice
        self._mailbox: Mailbox | None = None
        self._transcript = Transcript()
        self._verdict: Verdict | None = None
        self._message: Message | None = None
        self._attempts = 0
        self._is_opened = self._is_introduced = self._is_settling = False
        self._is_answered = self._is_answerable = self._is_end_ours = False
        self._greets_until_s = 0.0
        self._took_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        self._taken_back: asyncio.Future[str] | None = None
        self._left: asyncio.Future[None] | None = None

    @property
    def is_listening(self) -> bool:
        """Whether silence is nobody's fault: the bot waits, or talks to a machine."""
        return self._phase not in (Phase.OFF, Phase.PERSON)

    @property
    def has_words(self) -> bool:
        """Whether words that the session may miss have come here."""
        return asyncio.get_running_loop().time() - self._took_at < _MISSED_S

    def begin(self) -> None:
        """The call is answered: greet whoever took it, once it is known who that is."""
        if not is_wanted(self._plan):
            self._open()
            return
        self._follow()
        self._phase = Phase.GREETING
        self._silence.restart()

    def close(self) -> None:
        """Listen no more."""
        if self.is_listening or self._is_settling:
            self._tell()
        self._phase = Phase.OFF
        self._listen_no_more()
        self._cancel_timer()
        if self._left is not None and not self._left.done():
            # The call is over with the tool still running: a realtime session waits for it.
            self._left.set_result(None)

    def takes(self, event: stt.SpeechEvent) -> bool:
        """Return whether what the recogniser tells is none of the session's business."""
        is_ours = self.is_listening or self._is_settling
        match event.type:
            case stt.SpeechEventType.START_OF_SPEECH:
                # The session would hold back its voice for it, however late its end is told.
                self._is_end_ours = is_ours
                return is_ours
            case stt.SpeechEventType.END_OF_SPEECH:
                return self._is_end_ours
        if self._phase is Phase.OFF:
            return False
        if not is_ours:
            return self._suspects(event)
        if self._phase in AT_MACHINE and not self._is_answered and self._is_newly_spoken():
            # Up to here it was the machine's greeting.
            self._is_answered = True
            self._tell()
        if not self._transcript.take(event):
            return False
        self._took_at = asyncio.get_running_loop().time()
        self._weigh_words(event)
        return True

    async def leave_message(self, context: RunContext[Any]) -> str | None:
        """Take the model's word for a machine; return why no message was left on it."""
        context.disallow_interruptions()
        await context.wait_for_playout()
        self._taken_back = asyncio.get_running_loop().create_future()
        self._is_opened = True
        if self._listening is None:
            self._follow()
        self._left = asyncio.get_running_loop().create_future()
        self._decide(Verdict("voicemail", "tool", self._now_s))
        either: set[asyncio.Future[Any]] = {self._taken_back, self._left}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        return TAKEN_BACK if self._taken_back.done() else None

    @property
    def _is_awaited(self) -> bool:
        return self._taken_back is not None and not self._taken_back.done()

    @property
    def _now_s(self) -> float:
        return 0.0 if self._listening is None else self._listening.now_s

    def _follow(self) -> None:
        self._greeting = Greeting(self._config)
        self._listening = Listening(self._link.ear, self._plan.media_rate_hz, self._step)

    def _listen_no_more(self) -> None:
        if self._listening is not None:
            self._listening.stop()
            self._listening = None

    def _step(self, window: Window) -> None:
        match self._phase:
            case Phase.GREETING:
                if (verdict := self._greeting.window(window)) is not None:
                    self._decide(verdict)
            case Phase.MAILBOX:
                assert self._mailbox is not None
                cue = self._mailbox.window(window)
                if cue is Cue.SPEAK:
                    self._speak(self._mailbox.after)
                elif cue is Cue.GIVE_UP:
                    self._end("it would not let us leave a message")
            case Phase.PERSON:
                self._watch(window)
            case _:
                self._voice.window(window)

    def _watch(self, window: Window) -> None:
        self._voice.window(window)
        if self._is_settling and self._is_newly_spoken():
            # The recogniser may tell in one piece what was said before and what is said now.
            if self._is_awaited:
                self._settle()
            self._is_settling = False
            self._transcript.clear()
        if window.end_s > self._config.watch_s:
            self._listen_no_more()

    def _weigh_words(self, event: stt.SpeechEvent) -> None:
        text = self._transcript.text
        match self._phase:
            case Phase.GREETING:
                self._greeting.words(text)
            case Phase.PERSON:
                # A slow recogniser has told too late what the greeting was.
                if not self._proves(MACHINES) and is_final(event):
                    self._settle()
            case Phase.MAILBOX | Phase.MESSAGE:
                self._weigh_answer(text)

    def _weigh_answer(self, text: str) -> None:
        """Take words that were said after the verdict, or are the rest of the greeting."""
        if not self._is_newly_spoken():
            return
        is_recording = self._phase is Phase.MESSAGE
        if is_somebody(text, self._config, is_recording=is_recording):
            self._take_back()
            return
        clue = read(text, self._config.phrases)
        if clue is Clue.UNAVAILABLE:
            self._end("unavailable")
        elif clue is not None and is_recording and self._attempts < _NEW_ATTEMPTS:
            self._stop_message()
            self._wait_for_beep()

    def _is_newly_spoken(self) -> bool:
        at_s = 0.0 if self._verdict is None else self._verdict.at_s
        return self._voice.began_s is not None and self._voice.onset_s > at_s

    def _suspects(self, event: stt.SpeechEvent) -> bool:
        """Return whether somebody taken for a person proves a machine."""
        if self._listening is None or not self._transcript.take(event):
            return False
        began_s = self._voice.began_s
        is_greeting = began_s is not None and began_s < self._greets_until_s
        if self._proves(MACHINES if is_greeting else _SURE):
            return True
        if self._transcript.is_settled:
            self._transcript.clear()
            self._greets_until_s = 0.0
        return False

    def _proves(self, clues: frozenset[Clue]) -> bool:
        """Take a person for a machine, where one of `clues` says so; return whether it does."""
        is_clear = read(self._transcript.text, self._config.phrases) in clues
        if not is_clear or self._config.on_machine == "ignore":
            return False
        self._is_settling = False
        self._cancel_timer()
        self._session.interrupt(force=True)
        self._listen_again()
        return True

    def _decide(self, verdict: Verdict) -> None:
        self._cancel_timer()
        self._silence.restart()
        self._verdict = verdict
        self._voice = self._greeting.voice
        self._greets_until_s = verdict.at_s + _TOO_SOON_S if verdict.reason == "silence" else 0.0
        after_ms = round(1000 * verdict.at_s)
        if verdict.by == "human":
            waited_ms = round(1000 * verdict.waited_s)
            self._account.notice(
                "human_detected", reason=verdict.reason, after_ms=after_ms, waited_ms=waited_ms
            )
            self._converse()
            return
        self._account.notice(
            "machine_detected", **{"class": verdict.by}, reason=verdict.reason, after_ms=after_ms
        )
        if self._config.on_machine == "ignore" and verdict.reason != "tool":
            self._converse()
            return
        match verdict.by:
            case "voicemail" if self._plan.config.voicemail_message and self._leaves_messages:
                self._is_answered = False
                self._wait_for_beep()
            case "screening":
                self._tell()
                self._introduce()
            case "menu" if self._can_press:
                self._phase = Phase.PERSON
                self._is_opened = True
                self._session.generate_reply(user_input=self._transcript.clear())
            case _:
                self._end(verdict.by)

    @property
    def _leaves_messages(self) -> bool:
        is_asked = self._verdict is not None and self._verdict.reason == "tool"
        return is_asked or self._config.on_machine == "message"

    @property
    def _can_press(self) -> bool:
        return self._plan.config.send_digits_enabled and self._plan.channel in PRESSING

    def _converse(self) -> None:
        """Talk to somebody; what they said is taken up as soon as all of it is known."""
        self._phase = Phase.PERSON
        self._is_answerable = self._is_opened
        if not self._is_opened:
            self._open()
        heard = self._transcript
        is_known = heard.is_settled if heard.text else self._voice.began_s is None
        if is_known:
            self._settle()
        else:
            self._is_settling = True
            self._after(_SETTLE_S, self._settle)

    def _settle(self) -> None:
        self._cancel_timer()
        self._is_settling = False
        said = self._transcript.clear()
        if self._taken_back is not None and self._is_awaited:
            self._taken_back.set_result(said)
        elif self._is_answerable and said:
            self._session.generate_reply(user_input=said)
            return
        if said:
            self._host.greeted(said)

    def _open(self) -> None:
        self._is_opened = True
        # However long the phone rang, that was no silence.
        self._silence.restart()
        self._opening.say(self._session)

    def _introduce(self) -> None:
        """Tell a screening service who calls, once, and wait for whoever comes."""
        self._phase = Phase.INTRODUCING
        line = self._config.screening_message or self._plan.config.opening_message
        if self._is_introduced or not line:
            self._await_person()
            return
        self._is_introduced = True
        handle = self._session.say(line, allow_interruptions=False)
        handle.add_done_callback(lambda _: self._await_person())

    def _await_person(self) -> None:
        if self._phase is Phase.INTRODUCING:
            self._greeting = Greeting(
                self._config, self._now_s, silence_s=self._config.screening_wait_s
            )
            self._transcript.clear()
            self._phase = Phase.GREETING

    def _wait_for_beep(self) -> None:
        self._attempts += 1
        self._phase = Phase.MAILBOX
        self._mailbox = Mailbox(self._config, self._now_s, self._voice)

    def _speak(self, after: str) -> None:
        self._phase = Phase.MESSAGE

        def over(is_heard: bool) -> None:
            if is_heard:
                self._account.notice("voicemail_left", after=after)
            self._end("" if is_heard else "the message could not be said")

        self._message = Message(self._session, self._plan.config.voicemail_message, over)

    def _stop_message(self) -> None:
        message, self._message = self._message, None
        if message is not None:
            message.stop()

    def _take_back(self) -> None:
        """It is a person after all: let them finish, then talk to them."""
        self._stop_message()
        self._account.notice("machine_taken_back", after_ms=round(1000 * self._now_s))
        self._listen_again()

    def _listen_again(self) -> None:
        self._greeting = Greeting(self._config, self._now_s, voice=self._voice.anew())
        self._greeting.words(self._transcript.text)
        self._phase = Phase.GREETING

    def _tell(self) -> None:
        if said := self._transcript.clear():
            self._account.took_up(said)

    def _end(self, detail: str) -> None:
        self.close()
        self._host.end(Reason.VOICEMAIL, detail)

    def _after(self, delay_s: float, act: Callable[[], None]) -> None:
        self._timer = asyncio.get_running_loop().call_later(delay_s, act)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
