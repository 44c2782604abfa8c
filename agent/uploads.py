"""What is recorded leaves this host: whatever no living job still writes is handed to the sidecar."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import structlog

from agent.recording import duration_s, is_being_written
from sidecar.client import Refused, SidecarClient, SidecarError

log = structlog.get_logger(__name__)


class Uploads:
    """The recordings in a folder of this host, on their way to where they are kept."""

    def __init__(self, folder: Path, client: SidecarClient) -> None:
        self._folder = folder
        self._client = client

    async def sweep(self, calls: Mapping[str, int]) -> None:
        """Hand over, once, what no living job is still going to.

        Args:
            calls: those being served, incarnation by call id.
        """
        active = {f"{call}.{incarnation}" for call, incarnation in calls.items()}
        for path in self._folder.glob("*.wav"):
            try:
                if path.stem not in active and not is_being_written(path):
                    await self._hand_over(path)
            except OSError as error:
                # Gone meanwhile, or not ours to touch: no reason to stop the worker.
                log.warning("recording not handed over", error=type(error).__name__)

    async def _hand_over(self, path: Path) -> None:
        call_id, _, incarnation = path.stem.rpartition(".")
        if not call_id or not incarnation.isdigit():
            return
        try:
            await self._client.put_recording(
                call_id, path, incarnation=int(incarnation), duration_s=duration_s(path)
            )
        except Refused as error:
            if error.status >= 500:
                return
            log.warning("recording refused; kept aside", code=error.code)
            path.rename(path.with_suffix(".refused"))
        except SidecarError:
            return
        else:
            path.unlink(missing_ok=True)
            log.info("recording of a dead job handed over", call_id=call_id)
