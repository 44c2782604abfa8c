"""Ctrl-C and SIGTERM: the first asks to end, the second insists."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def ending_on_signal(ask: Callable[[], object], insist: Callable[[], object]) -> Iterator[None]:
    """Call `ask` on the first signal and `insist` on every further one."""
    loop = asyncio.get_running_loop()
    asked = False

    def receive() -> None:
        nonlocal asked
        (insist if asked else ask)()
        asked = True

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, receive)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
