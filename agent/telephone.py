"""What a telephone line does to a conversation: holds, keys, callers who are handed over."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from livekit.agents import AgentSession, RunContext
from livekit.agents.voice import SpeechHandle

from agent.account import Account
from agent.handover import Handover
from agent.keypad import Entered, Keypad, Wanted
from agent.leg_watch import Leg
from agent.line import Line
from agent.link import Link
from agent.patience import Patience
from agent.speech.keys import pressed
from agent.tools import NotTransferred
from contracts.bot import TransferTarget
from contracts.command import Transfer
from contracts.outcome import Reason
from contracts.plan import AgentPlan
from contracts.report import DigitsSent, TransferFailed
from contracts.transfer import METHODS, TRUSTED_METHODS, TransferTargetError, resolve_target

UNDER_WAY = "the caller is being handed over already"
ON_HOLD = (
    "the line was on hold, so no keys were pressed; once it is back, press them if still needed"
)
NOT_TAKEN = "the line did not take the keys"
NOT_AGAIN = "the transfer has just failed"
_NOT_AGAIN_S = 60.0
"""Who did not take a caller just now is not asked once more."""
SPEECH_TAIL_S = 1.0
"""So much silence finishes what was being said when the line went away."""


class Telephone:
    """One conversation's line. `attach` before the session starts, `begin` once the bot talks.

    Args:
        plan: the call.
        line: what can be done to it.
        leg: what it tells.
        session: the conversation's.
        link: its audio.
        account: takes the facts.
        takes_digits: whether nothing can follow these keys, in the brain's opinion.
        say: says a line that cannot be interrupted, and returns once it was heard.
        end: ends the conversation.
        silence: is told when silence counts anew, and what is as good as words.
    """

    def __init__(
        self,
        *,
        plan: AgentPlan,
        line: Line,
        leg: Leg,
        session: AgentSession[None],
        link: Link,
        account: Account,
        takes_digits: Callable[[str], bool],
        say: Callable[[str], Awaitable[None]],
        end: Callable[[Reason], None],
        silence: Patience,
    ) -> None:
        self._plan = plan
        self._config = plan.config
        self._line = line
        self._leg = leg
        self._session = session
        self._link = link
        self._account = account
        self._say = say
        self._end = end
        self._silence = silence
        is_trusted = METHODS.get(plan.channel) in TRUSTED_METHODS
        self._handover = Handover(line, account.tell, is_trusted=is_trusted)
        self._keypad = Keypad(self._take_digits, takes_digits)
        self._asking: SpeechHandle | None = None
        self._is_talking = False
        self._settled = asyncio.Event()
        self._settled.set()
        self._failed: tuple[str, float] = ("", -math.inf)
        """Where no transfer came about, and when."""
        self._is_pressing = False
        self._held_at_ms: float | None = None
        self._holds = 0
        self._back = asyncio.Event()
        self._back.set()
        self.is_away = False
        """Whether the caller is being handed over: then nothing is answered any more."""

    @property
    def is_held(self) -> bool:
        """Whether nobody listens."""
        return not self._back.is_set()

    @property
    def is_waiting(self) -> bool:
        """Whether silence is nobody's fault."""
        return self.is_away or self.is_held or self._is_pressing or self._keypad.is_collecting

    @property
    def is_handed_over(self) -> bool:
        """Whether a call that ends now ends as handed over."""
        return self._handover.counts

    def attach(self) -> None:
        """Follow the leg from now on; a hold that it is in is known at once."""
        self._leg.listen(self)

    async def back(self) -> None:
        """Return once the line is not held."""
        await self._back.wait()

    def begin(self) -> None:
        """The call is answered and the bot talks."""
        self._is_talking = True

    def close(self) -> None:
        """The conversation is over."""
        self._is_talking = False
        self._leg.close()
        self._keypad.forget()

    def spoken(self) -> None:
        """The caller said something."""
        self._keypad.spoken()

    async def hang_up(self) -> None:
        """Hang up, unless the caller is in other hands, or about to be."""
        if not self._handover.is_under_way:
            await self._line.hang_up()

    async def transfer(
        self, context: RunContext[Any], reason: str, target: str
    ) -> NotTransferred | None:
        """Hand the caller over; return why not, if it did not come about."""
        if not self._settled.is_set():
            # A model may ask twice in one breath.
            return NotTransferred(UNDER_WAY)
        self._settled.clear()
        try:
            return await self._transfer(context, reason, target)
        finally:
            self._settled.set()

    async def hand_over(self, reason: str) -> str:
        """Hand the caller to the usual target without another word; return why not, or ""."""
        if not self._settled.is_set():
            return UNDER_WAY
        self._settled.clear()
        try:
            found = resolve_target(self._config, self._plan.channel, "")
            failed, at = self._failed
            if failed == found.value and self._link.clock() - at < _NOT_AGAIN_S:
                return NOT_AGAIN
            return await self._give(found, reason)
        except TransferTargetError as error:
            return str(error)
        finally:
            self._settled.set()

    async def is_taken_over(self) -> bool:
        """Return, once no transfer is under way, whether the caller is in other hands."""
        await self._settled.wait()
        return self.is_handed_over

    async def _transfer(
        self, context: RunContext[Any], reason: str, target: str
    ) -> NotTransferred | None:
        await context.wait_for_playout()
        try:
            found = resolve_target(self._config, self._plan.channel, target)
        except TransferTargetError as error:
            self._account.tell(TransferFailed(at=datetime.now(UTC), failed_reason=str(error)))
            return NotTransferred(str(error))
        context.disallow_interruptions()
        await self._say(self._config.pre_transfer_message)
        if not (failed := await self._give(found, reason)):
            return None
        await self._say(self._config.transfer_failed_message)
        return NotTransferred(failed, self._config.transfer_failed_message)

    async def _give(self, found: TransferTarget, reason: str) -> str:
        """Hand the caller over; return why not, or ""."""
        # From here on the caller is the carrier's: nothing is answered or asked any more.
        self.is_away = True
        self._rearrange()
        command = Transfer(to=found.value, target=found.label or found.id, reason=reason)
        failed = await self._handover.run(command, found.method)
        if not failed:
            self._end(Reason.TRANSFERRED)
            return ""
        self._failed = (found.value, self._link.clock())
        self.is_away = False
        self._rearrange()
        return failed

    async def collect_digits(
        self, context: RunContext[Any], prompt: str, wanted: Wanted
    ) -> Entered:
        """Ask for keys, and return those the caller pressed."""
        self._asking = context.speech_handle
        prompted = asyncio.ensure_future(self._prompt(context, prompt))
        try:
            return await self._keypad.collect(wanted, prompted)
        finally:
            self._asking = None
            prompted.cancel()
            self._silence.restart()

    async def send_digits(self, context: RunContext[Any], digits: str) -> str:
        """Press keys once the line that led here was heard; return why not, or "".

        A menu that was there before a hold is not the one that listens after it, so what was to be
        pressed goes with the hold.
        """
        holds = self._holds
        if not self.is_held:
            await context.wait_for_playout()
        if self.is_held or self._holds != holds:
            return ON_HOLD
        # Dozens of keys take longer than a caller waits for an answer.
        self._is_pressing = True
        try:
            is_taken = await self._line.send_digits(digits)
        finally:
            self._is_pressing = False
            self._silence.restart()
        if not is_taken:
            return NOT_TAKEN
        self._account.tell(DigitsSent(at=datetime.now(UTC), digits=digits))
        return ""

    def held(self, is_held: bool) -> None:
        """The far end holds the line, or is back: nobody hears, and what is heard is music."""
        at_ms = self._link.leg_clock.ms_at(self._link.clock())
        if is_held:
            self._held_at_ms = at_ms
            self._holds += 1
            self._account.notice("hold_began", at_ms=at_ms)
            self._keypad.forget()
            # Their last words end where the music begins.
            self._link.input.push_silence(SPEECH_TAIL_S)
            self._back.clear()
            if self._link.output.is_heard:
                self._cut_in()
            self._link.output.hold()
        else:
            self._account.notice("hold_ended", from_ms=self._held_at_ms, to_ms=at_ms)
            self._back.set()
            self._link.output.release()
        self._rearrange()
        if not is_held and self._is_talking and not self.is_away:
            self._welcome_back()

    def pressed(self, digit: str) -> None:
        """The caller pressed a key."""
        if not self._is_talking or self.is_away or self.is_held:
            return
        self._silence.heard_caller()
        self._silence.restart()
        if self._config.dtmf_interrupts:
            self._cut_in()
        self._keypad.press(digit)

    def transfer_done(self) -> None:
        """The caller is in other hands."""
        self._handover.done()

    def transfer_failed(self, reason: str) -> None:
        """The caller is still here: the bot comes back."""
        self._handover.failed(reason)

    def _rearrange(self) -> None:
        """Listen, or not, and count silence, or not, as is right by now."""
        self._session.input.set_audio_enabled(not self.is_away and not self.is_held)
        self._silence.restart()

    def _welcome_back(self) -> None:
        # Where something was held back, that is heard now.
        if self._config.hold_resume_message and self._link.output.speaking_line is None:
            self._session.say(self._config.hold_resume_message)

    def _cut_in(self) -> None:
        """Cut what the bot is saying, unless it is to be heard to its end."""
        if self._link.output.speaking_line is None:
            return
        current = self._session.current_speech
        if current is not None and current is self._asking:
            # Interrupted, the speech would take along its tool, which waits for these very keys.
            self._link.output.clear_buffer()
        elif current is not None and current.allow_interruptions:
            current.interrupt()

    def _take_digits(self, digits: str) -> None:
        if self._is_talking and not self.is_away and not self.is_held:
            self._session.generate_reply(user_input=pressed(digits))

    async def _prompt(self, context: RunContext[Any], prompt: str) -> None:
        await context.wait_for_playout()
        await self.back()
        if prompt:
            await self._session.say(prompt).wait_for_playout()
