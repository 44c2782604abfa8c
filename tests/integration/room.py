"""Room for calls on a machine that several tests share: what is heard under load is no measure."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import psutil

_BUSY_PERCENT = 70
_LOOK_S = 0.3
_LONGEST_S = 15.0


def wait_for_room() -> None:
    """Return once the machine carries one more, or has not for long; one test at a time looks."""
    with alone("room"):
        give_up_at = monotonic() + _LONGEST_S
        while psutil.cpu_percent(_LOOK_S) > _BUSY_PERCENT and monotonic() < give_up_at:
            pass


@contextmanager
def alone(what: str) -> Iterator[None]:
    """Hold up all other workers that want to do the same."""
    with (Path(tempfile.gettempdir()) / f"voicefleet-{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
