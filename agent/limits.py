"""What ends a conversation by the clock: silence, and the longest a call may be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from agent.ending import Ending
from agent.manners.silence import GiveUp, Prompt
from agent.patience import Patience
from agent.vigil import Notice
from contracts.bot import BotConfig
from contracts.outcome import Reason


class Limited(Protocol):
    """The conversation that they end."""

    async def part(self, reason: Reason, line: str) -> None:
        """Say its last line, and end it once that was heard."""

    def prompt(self, text: str) -> None:
        """Say something into a silence."""

    def give_up(self) -> None:
        """Nobody ever spoke, as far as one knows."""


class Limits:
    """Watches both clocks of one conversation.

    Args:
        config: the bot's.
        silence: counts silences.
        call: what ends.
        is_held: whether nobody listens.
        notice: told of what happened.
    """

    def __init__(
        self,
        config: BotConfig,
        silence: Patience,
        call: Limited,
        *,
        is_held: Callable[[], bool],
        notice: Notice,
    ) -> None:
        self._config = config
        self._silence = silence
        self._call = call
        self._is_held = is_held
        self._notice = notice

    async def watch(self, ending: asyncio.Future[Ending]) -> None:
        """Watch until the conversation ends."""
        async with asyncio.TaskGroup() as tasks:
            watching = [
                tasks.create_task(self._watch_silence()),
                tasks.create_task(self._watch_duration()),
            ]
            await asyncio.wait({ending})
            for task in watching:
                task.cancel()

    async def _watch_silence(self) -> None:
        async for due in self._silence.long_silences():
            match due:
                case Prompt(text, number):
                    self._notice("re_engaged", number=number)
                    self._call.prompt(text)
                case GiveUp(Reason.NO_RESPONSE):
                    self._call.give_up()
                    return
                case GiveUp(reason):
                    await self._call.part(reason, self._config.closing_message)
                    return

    async def _watch_duration(self) -> None:
        await asyncio.sleep(self._config.max_call_duration_seconds)
        self._notice("max_duration_reached")
        line = "" if self._is_held() else self._config.closing_message
        await self._call.part(Reason.MAX_DURATION, line)
