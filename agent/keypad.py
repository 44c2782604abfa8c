"""The caller's keys: gathered for a tool that waits for them, else for the brain, key by key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

PAUSE_S = 1.5
"""Keys that follow one another more quickly belong together."""
MAX_GATHERED = 64


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which keys a tool waits for, and how long."""

    max_digits: int = 20
    finish_on_key: str = "#"
    """Ends the entry, and is no part of it; "": none does."""
    timeout_s: float = 8.0
    """Until the first key."""
    inter_digit_timeout_s: float = 3.0
    """From each key to the next."""


@dataclass(frozen=True, slots=True)
class Entered:
    """What the caller entered, and what ended it."""

    digits: str
    ended_by: Literal["count", "key", "timeout", "speech"]


class Keypad:
    """One call's.

    Args:
        submit: takes keys that no tool waits for, once they are complete.
        is_complete: whether nothing can follow these keys: then they are not waited for.
    """

    def __init__(self, submit: Callable[[str], None], is_complete: Callable[[str], bool]) -> None:
        self._submit = submit
        self._is_complete = is_complete
        self._gathered = ""
        self._timer: asyncio.TimerHandle | None = None
        self._entry: _Entry | None = None

    @property
    def is_collecting(self) -> bool:
        """Whether a tool waits for keys."""
        return self._entry is not None

    def press(self, digit: str) -> None:
        """Take a key."""
        if self._entry is not None:
            self._entry.press(digit)
            return
        self._gathered = (self._gathered + digit)[-MAX_GATHERED:]
        self._stop_timer()
        if digit == "#" or self._is_complete(self._gathered):
            self._flush()
        else:
            self._timer = asyncio.get_running_loop().call_later(PAUSE_S, self._flush)

    def spoken(self) -> None:
        """The caller said something instead: whoever waits for keys waits no longer."""
        if self._entry is not None:
            self._entry.end("speech")

    async def collect(self, wanted: Wanted, prompted: asyncio.Future[None]) -> Entered:
        """Return the keys that are pressed from now on, and those that were just now.

        Args:
            wanted: which.
            prompted: done once the caller knows what to enter; before that time stands still.
        """
        if self._entry is not None:
            self._entry.end("timeout")
        self._stop_timer()
        early, self._gathered = self._gathered, ""
        entry = self._entry = _Entry(wanted)
        for digit in early:
            entry.press(digit)
        try:
            return await entry.run(prompted)
        finally:
            if self._entry is entry:
                self._entry = None

    def forget(self) -> None:
        """Drop what was pressed: nobody is there to take it."""
        self._gathered = ""
        self._stop_timer()

    def _flush(self) -> None:
        digits = self._gathered
        self.forget()
        if digits:
            self._submit(digits)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Entry:
    """What one tool waits for."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._digits = ""
        self._pressed = asyncio.Event()
        self._ended: asyncio.Future[Entered] = asyncio.get_running_loop().create_future()

    def press(self, digit: str) -> None:
        if self._ended.done():
            return
        if digit == self._wanted.finish_on_key:
            self.end("key")
            return
        self._digits += digit
        self._pressed.set()
        if len(self._digits) >= self._wanted.max_digits:
            self.end("count")

    def end(self, by: Literal["count", "key", "timeout", "speech"]) -> None:
        if not self._ended.done():
            self._ended.set_result(Entered(self._digits, by))

    async def run(self, prompted: asyncio.Future[None]) -> Entered:
        pressing = asyncio.ensure_future(self._pressed.wait())
        try:
            await self._either(prompted, pressing)
            while not self._ended.done():
                timeout_s = (
                    self._wanted.inter_digit_timeout_s if self._digits else self._wanted.timeout_s
                )
                self._pressed.clear()
                pressing.cancel()
                pressing = asyncio.ensure_future(self._pressed.wait())
                await self._either(pressing, timeout_s=timeout_s)
                if not self._pressed.is_set():
                    self.end("timeout")
            return self._ended.result()
        finally:
            pressing.cancel()

    async def _either(self, *others: asyncio.Future[Any], timeout_s: float | None = None) -> None:
        """Return once any of these is done, or the entry has ended."""
        every: set[asyncio.Future[Any]] = {self._ended, *others}
        await asyncio.wait(every, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
