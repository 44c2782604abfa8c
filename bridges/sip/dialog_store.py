"""What a BYE of each answered call needs, on disk, so that a crash leaves no phone off the hook.

One small file a call, written before the answer (or its ACK) leaves and removed when the call is
over. It is renamed into place but not forced to the disk: it survives the death of the process, for
which it is there. After a power failure the far ends' own timers end what is left, and waiting for
the disk on every answer would hold up all calls.

The files name who talks to whom: they are readable by us alone, and no longer there after the call.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

log = structlog.get_logger(__name__)


class StateInUse(Exception):
    """Another signalling process uses this folder."""


class KeptDialog(BaseModel):
    """One answered call.

    Attributes:
        call: the endpoint's handle.
        trunk_id: whose credentials a BYE may need; they are asked for anew, not kept.
        snapshot: the endpoint's.
    """

    model_config = ConfigDict(frozen=True)

    call: str
    trunk_id: str
    snapshot: str


class DialogStore:
    """The folder. `open` it first; only one process has it at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "dialogs"
        self._lock_path = folder / "lock"
        self._lock: int | None = None

    def open(self) -> None:
        """Take the folder.

        Raises:
            StateInUse: somebody else has it.
            OSError: it cannot be made or written to.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise StateInUse(str(self._folder.parent)) from None
        self._lock = lock

    def close(self) -> None:
        """Give the folder up; the files stay."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def keep(self, dialog: KeptDialog) -> None:
        """Store a call, over what is stored of it; a disk that fails is logged, not raised.

        A call that is not stored is still a call: hanging up on it would help nobody.
        """
        path = self._path(dialog.call)
        draft = path.with_suffix(".new")
        try:
            with open(draft, "w", encoding="utf-8", opener=_private) as file:
                file.write(dialog.model_dump_json())
            draft.replace(path)
        except OSError as error:
            log.error("sip_dialog_not_stored", call=dialog.call, error=str(error))

    def drop(self, call: str) -> None:
        """Forget a call, whether it is stored or not."""
        try:
            self._path(call).unlink(missing_ok=True)
        except OSError as error:
            log.error("sip_dialog_not_removed", call=call, error=str(error))

    def left(self) -> list[KeptDialog]:
        """Return what is stored; files that are none of ours are logged and removed."""
        dialogs: list[KeptDialog] = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                dialogs.append(KeptDialog.model_validate_json(path.read_bytes()))
            except (OSError, ValidationError):
                log.warning("sip_dialog_unreadable", file=path.name)
                path.unlink(missing_ok=True)
        for draft in self._folder.glob("*.new"):
            draft.unlink(missing_ok=True)
        return dialogs

    def _path(self, call: str) -> Path:
        assert call.isalnum()
        return self._folder / f"{call}.json"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
