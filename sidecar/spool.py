"""The folder in which a host's workers, or bridges, keep journals and take up those of the dead."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from contracts.report import Source
from sidecar.journal import (
    HEADER_BYTES,
    MAX_BYTES,
    SUFFIX,
    UNBORN_SUFFIX,
    Journal,
    Key,
    Left,
    NotAJournal,
    key_of,
    parse,
)

log = structlog.get_logger(__name__)

MAX_AGE_S = 7 * 24 * 3600.0
"""No result waits longer for what its call left; a call erased meanwhile is to leave nothing."""
UNBORN_S = 60.0
ASIDE_SUFFIX = ".aside"
"""Of files that are no journals of ours, kept for a person to look at."""


class Abandoned:
    """A journal whose owner is gone, held locked while its facts are handed in.

    Attributes:
        left: what stands in it.
    """

    def __init__(self, path: Path, file: int, left: Left) -> None:
        self.left = left
        self._path = path
        self._file = file

    def drop(self) -> None:
        """Remove it: the sidecar has its facts, or wants none of them."""
        self._path.unlink(missing_ok=True)

    def set_aside(self) -> None:
        """Keep what could not be understood, out of the way."""
        _set_aside(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        os.close(self._file)


class Spool:
    """Journals by file name, in a folder that is to survive its processes.

    Args:
        folder: made when it is first needed.
        owner: the worker or bridge this process belongs to.
        max_bytes: above it the oldest abandoned journals go.
        clock: Unix time, which the files' times are compared with.
    """

    def __init__(
        self,
        folder: Path,
        owner: str,
        *,
        max_bytes: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder = folder
        self.owner = owner
        self._max_bytes = max_bytes
        self._clock = clock

    def open(self, call_id: str, source: Source, incarnation: int) -> Journal:
        """Begin a journal. Where there can be none, its facts are kept in memory alone."""
        try:
            return Journal.create(self.folder, Key(call_id, source, incarnation), self.owner)
        except (OSError, ValueError) as error:
            log.error("journal_not_made", call_id=call_id, error=type(error).__name__)
            return Journal(None, None, None)

    def journals(self) -> dict[Path, Key]:
        """Return every journal that is in the folder now."""
        found = ((path, key_of(path.name)) for path in self._files())
        return {path: key for path, key in found if key is not None}

    def take_up(self, path: Path) -> Abandoned | None:
        """Return a journal that nobody holds; None if somebody does, or it is gone.

        One that is not ours is set aside.
        """
        file = _opened(path)
        if file is None:
            return None
        try:
            # An owner that has just handed everything in removes the file before it lets go.
            if not _is_locked(file, fcntl.LOCK_EX) and os.fstat(file).st_nlink > 0:
                return Abandoned(path, file, _read(path, file))
        except NotAJournal as error:
            log.error("not_a_journal", path=str(path), reason=str(error))
            _set_aside(path)
        except OSError as error:
            log.error("journal_unreadable", path=str(path), error=error.strerror)
        os.close(file)
        return None

    def look_into(self, path: Path) -> tuple[Left, bool] | None:
        """Return what stands in a journal and whether somebody holds it; None if it is gone.

        Of one that its owner is writing, only what was complete at this moment.
        """
        file = _opened(path)
        if file is None:
            return None
        try:
            is_held = _is_locked(file, fcntl.LOCK_SH)
            return None if os.fstat(file).st_nlink == 0 else (_read(path, file), is_held)
        except (NotAJournal, OSError):
            return None
        finally:
            os.close(file)

    def is_waiting(self, path: Path) -> bool:
        """Return whether a journal's facts are overdue: its owner is gone, or gets no answer."""
        file = _opened(path)
        if file is None:
            return False
        try:
            if not _is_locked(file, fcntl.LOCK_SH):
                return os.fstat(file).st_nlink > 0
            return parse(_key(path), os.pread(file, HEADER_BYTES, 0)).is_delayed
        except (NotAJournal, OSError):
            return False
        finally:
            os.close(file)

    def trim(self) -> int:
        """Remove what is too old, and the oldest of what is too much; return how many journals."""
        now = self._clock()
        ages = sorted((_changed_at(path), path) for path in self._files())
        size_bytes = sum(_size_bytes(path) for _, path in ages)
        dropped = 0
        for changed_at, path in ages:
            limit_s = UNBORN_S if path.suffix == UNBORN_SUFFIX else MAX_AGE_S
            is_old = now - changed_at > limit_s
            if (is_old or size_bytes > self._max_bytes) and not self._is_held(path):
                size_bytes -= _size_bytes(path)
                dropped += path.suffix == SUFFIX
                with suppress(OSError):
                    path.unlink()
        if dropped:
            log.error("journals_dropped", count=dropped, folder=str(self.folder))
        return dropped

    def _files(self) -> list[Path]:
        ours = (SUFFIX, ASIDE_SUFFIX, UNBORN_SUFFIX)
        with suppress(OSError), os.scandir(self.folder) as entries:
            return [
                Path(entry.path)
                for entry in entries
                if entry.name.endswith(ours) and entry.is_file(follow_symlinks=False)
            ]
        return []

    def _is_held(self, path: Path) -> bool:
        file = _opened(path)
        if file is None:
            return False
        try:
            return _is_locked(file, fcntl.LOCK_SH)
        finally:
            os.close(file)


def _opened(path: Path) -> int | None:
    """Return a descriptor of a plain file that is still there; it need not be one of ours."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        file = os.open(path, flags)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    return None


def _is_locked(file: int, kind: int) -> bool:
    """Return whether somebody else holds it; if not, we do from now on."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError:  # blocked, or a file system that knows no locks: then nothing is anybody's
        return True
    return False


def _read(path: Path, file: int) -> Left:
    if os.fstat(file).st_size > MAX_BYTES:
        raise NotAJournal("it is too big")
    with os.fdopen(os.dup(file), "rb") as data:
        data.seek(0)
        return parse(_key(path), data.read(MAX_BYTES))


def _key(path: Path) -> Key:
    key = key_of(path.name)
    if key is None:
        raise NotAJournal("its name is not a journal's")
    return key


def _set_aside(path: Path) -> None:
    with suppress(OSError):
        path.rename(path.with_name(path.name + ASIDE_SUFFIX))


def _changed_at(path: Path) -> float:
    with suppress(OSError):
        return path.stat(follow_symlinks=False).st_mtime
    return 0.0


def _size_bytes(path: Path) -> int:
    with suppress(OSError):
        return path.stat(follow_symlinks=False).st_size
    return 0
