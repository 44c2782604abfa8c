"""The time after a start: what calls did meanwhile lies on the disks of workers and bridges.

Until they have handed it in nothing that was under way before is ended or replaced.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sidecar.store.workers import WorkerRow


class Recovery:
    """Waits for everybody who was known before the start, and no longer than `grace`.

    Processes of one kind on one host share their disk: a successor hands in what another kept.
    """

    def __init__(self, started_at: datetime, known: Iterable[WorkerRow], grace: timedelta) -> None:
        self.started_at = started_at
        self._until = started_at + grace
        self._awaited = {_place(worker) for worker in known}

    def is_over(self, heard: Iterable[WorkerRow], now: datetime) -> bool:
        """Return whether all have said that they keep nothing any more.

        Args:
            heard: those heard of since the start.
            now: the time.
        """
        for worker in heard:
            if worker.spooled == 0:
                self._awaited.discard(_place(worker))
        return not self._awaited or now >= self._until


def _place(worker: WorkerRow) -> tuple[str, str]:
    return worker.kind, worker.host
