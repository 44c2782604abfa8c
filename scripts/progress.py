"""Progress of one long step: a counting line on a terminal, an occasional plain line elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import TextIO

_TERMINAL_PERIOD_S = 0.1
_PLAIN_PERIOD_S = 20.0


class Progress:
    """Shows `title`, the seconds gone and `detail` until left; silent when done within a second.

    Attributes:
        detail: what is happening now; whoever works may set it at any time.
    """

    def __init__(self, title: str, stream: TextIO = sys.stderr) -> None:
        self.detail = ""
        self._title = title
        self._stream = stream
        self._live = stream.isatty()
        self._done = threading.Event()
        self._started = time.monotonic()
        self._painter = threading.Thread(target=self._paint, daemon=True)

    def __enter__(self) -> Progress:
        self._painter.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done.set()
        self._painter.join()
        elapsed_s = time.monotonic() - self._started
        if self._live:
            self._stream.write("\r\x1b[K")
        if kind is not None:
            self._stream.write(f"✗ {self._title} failed after {elapsed_s:.0f} s\n")
        elif elapsed_s >= 1:
            self._stream.write(f"✓ {self._title} ({elapsed_s:.0f} s)\n")
        self._stream.flush()

    def _paint(self) -> None:
        if self._done.wait(0.3):
            return
        if not self._live:
            self._stream.write(f"… {self._title}\n")
            self._stream.flush()
        while not self._done.wait(_TERMINAL_PERIOD_S if self._live else _PLAIN_PERIOD_S):
            elapsed_s = time.monotonic() - self._started
            text = " · ".join(
                part for part in (self._title, f"{elapsed_s:.0f} s", self.detail) if part
            )
            self._stream.write(f"\r\x1b[K⠿ {text[:100]}" if self._live else f"… {text}\n")
            self._stream.flush()
