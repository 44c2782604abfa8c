"""Facts on disk until the sidecar has them: what was told of a call outlives the process it was in.

A journal belongs to one (call, source, incarnation). Its first line is a header of fixed length,
every further line a fact as JSON; whatever is in it the sidecar has not acknowledged. Its owner
keeps it locked for as long as it lives, so that one nobody holds is a dead process's, and its last
line may be torn.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import structlog
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from contracts.ids import MAX_INCARNATION
from contracts.report import MAX_NUMBER, Fact, Source

log = structlog.get_logger(__name__)

HEADER_BYTES = 512
MAX_BYTES = 64 * 1024 * 1024
"""Of one journal; four hours of talk without a sidecar are a tenth of it."""
SUFFIX = ".jsonl"
UNBORN_SUFFIX = ".new"
"""Of one that its owner has not locked yet."""
_NAME = re.compile(
    r"(?P<call_id>[0-9A-Za-z-]{1,64})\.(?P<source>agent|bridge)\.(?P<incarnation>[1-9][0-9]{0,5})"
    + re.escape(SUFFIX)
)
_FACT: TypeAdapter[Fact] = TypeAdapter(Fact)


class NotAJournal(Exception):
    """The file is another version's, or nobody's we know."""


class Key(NamedTuple):
    """Whose facts a journal holds; sorts in the order in which they are handed in."""

    call_id: str
    source: Source
    incarnation: int


class _Header(BaseModel):
    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    call_id: str
    source: Source
    incarnation: int = Field(ge=1, le=MAX_INCARNATION)
    seq: int = Field(ge=1, le=MAX_NUMBER)
    owner: str
    pid: int = Field(ge=0, le=MAX_NUMBER)
    is_delayed: bool = False


@dataclass(frozen=True, slots=True)
class Left:
    """What stands in a journal.

    Attributes:
        seq: the number of the first of `facts`.
        sizes_bytes: what each fact takes as JSON.
        owner: the worker or bridge whose process wrote it; "" if that was not written any more.
        pid: that process; 0 likewise.
        is_delayed: whether its owner was waiting for a sidecar that does not answer.
        is_whole: whether everything after the header is facts, but for a torn last line.
    """

    key: Key
    seq: int = 1
    facts: tuple[Fact, ...] = ()
    sizes_bytes: tuple[int, ...] = ()
    owner: str = ""
    pid: int = 0
    is_delayed: bool = False
    is_whole: bool = True


class Journal:
    """The facts of one source about one call, for as long as its process lives.

    Nothing here raises: where the disk takes no more it says so once, and the facts stay in memory
    alone. A write takes some 10 µs and is not forced to disk: it outlives the process, not the
    machine.

    Attributes:
        is_sound: whether every fact since the last `reset` is in the file.
    """

    def __init__(self, path: Path | None, file: int | None, header: _Header | None) -> None:
        self._path = path
        self._file = file
        self._header = header
        self._size_bytes = HEADER_BYTES
        self._has_complained = False
        self.is_sound = False
        if header is not None:
            self._write_header()

    @classmethod
    def create(cls, folder: Path, key: Key, owner: str) -> Journal:
        """Make one and hold it locked.

        Raises:
            OSError: there is one already, or no file can be made.
            ValueError: no file can have that name.
        """
        header = _Header(
            call_id=key.call_id,
            source=key.source,
            incarnation=key.incarnation,
            seq=1,
            owner=owner,
            pid=os.getpid(),
        )
        path = folder / name_of(key)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        unborn = folder / f".{path.stem}.{os.getpid()}{UNBORN_SUFFIX}"
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(unborn, flags, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            journal = cls(path, file, header)
            # Seen by others only once it is locked, and never in the place of another.
            os.link(unborn, path)
        except BaseException:
            os.close(file)
            raise
        finally:
            os.unlink(unborn)
        return journal

    def append(self, line: bytes) -> None:
        """Add a fact's JSON."""
        if self._file is None or not self.is_sound:
            return
        data = line + b"\n"
        if self._size_bytes + len(data) > MAX_BYTES:
            self._fail(OSError(errno.EFBIG, os.strerror(errno.EFBIG)))
        elif self._write(data, self._size_bytes):
            self._size_bytes += len(data)

    def reset(self, seq: int) -> None:
        """Forget all facts: the sidecar has them. The next one will be number `seq`."""
        if self._file is None or self._header is None:
            return
        # In this order: a process killed in between leaves no facts, rather than wrong numbers.
        try:
            os.ftruncate(self._file, HEADER_BYTES)
        except OSError as error:
            self._fail(error)
            return
        self._size_bytes = HEADER_BYTES
        self._header = self._header.model_copy(update={"seq": seq, "is_delayed": False})
        self._write_header()

    def mark_delayed(self) -> None:
        """Note that the sidecar does not answer, until the next `reset`."""
        if self._header is not None and not self._header.is_delayed and self.is_sound:
            self._header = self._header.model_copy(update={"is_delayed": True})
            self._write_header()

    def beat(self) -> None:
        """Show that the owner's event loop turns: the file's time of change is now."""
        if self._file is not None:
            now_ns = time.time_ns()  # the kernel's own time of change moves in steps
            try:
                os.utime(self._file, ns=(now_ns, now_ns))
            except OSError as error:
                log.warning("beat_failed", error=error.strerror)

    def discard(self) -> None:
        """Remove the file: nobody needs to hand in what is in it."""
        if self._file is not None and self._path is not None:
            try:
                self._path.unlink(missing_ok=True)
            except OSError as error:
                log.warning("journal_not_removed", error=error.strerror)
        self.close()

    def close(self) -> None:
        """Leave the file to whoever hands in its facts; safe to call twice."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
            self.is_sound = False

    def _write_header(self) -> None:
        assert self._header is not None
        line = self._header.model_dump_json().encode()
        if len(line) >= HEADER_BYTES:
            self._fail(OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG)))
        elif self._write(line.ljust(HEADER_BYTES - 1) + b"\n", 0):
            self.is_sound, self._has_complained = True, False

    def _write(self, data: bytes, offset: int) -> bool:
        assert self._file is not None
        try:
            written = os.pwrite(self._file, data, offset)
            if written != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._fail(error)
            return False
        return True

    def _fail(self, error: OSError) -> None:
        if not self._has_complained:
            log.error("journal_failed", path=str(self._path), error=error.strerror)
        self.is_sound, self._has_complained = False, True


def name_of(key: Key) -> str:
    """Return a journal's file name.

    Raises:
        ValueError: the call id would not do in a file's name.
    """
    name = f"{key.call_id}.{key.source}.{key.incarnation}{SUFFIX}"
    if _NAME.fullmatch(name) is None:
        raise ValueError("not a call id that a file can be named after")
    return name


def key_of(name: str) -> Key | None:
    """Return whose journal a file is by its name; None if it is no journal's."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    return Key(match["call_id"], Source(match["source"]), int(match["incarnation"]))


def parse(key: Key, data: bytes) -> Left:
    """Return what a journal holds, up to where its owner was killed.

    Args:
        key: whose it is by its name.
        data: the file, whole or cut off anywhere.

    Raises:
        NotAJournal: it does not begin as one, or as another one.
    """
    head, *lines = data[:HEADER_BYTES], *data[HEADER_BYTES:].split(b"\n")
    if len(head) < HEADER_BYTES:
        # Killed, or out of disk, before the header was written.
        return Left(key)
    try:
        header = _Header.model_validate_json(head)
    except ValidationError as error:
        raise NotAJournal("it begins with no header of ours") from error
    if key != (header.call_id, header.source, header.incarnation):
        raise NotAJournal("its header names another call")
    facts: list[Fact] = []
    sizes_bytes: list[int] = []
    is_whole = True
    for line in lines[:-1]:
        try:
            fact = _FACT.validate_json(line)
        except ValidationError:
            is_whole = False
            break
        facts.append(fact)
        sizes_bytes.append(len(line))
    return Left(
        key=key,
        seq=header.seq,
        facts=tuple(facts),
        sizes_bytes=tuple(sizes_bytes),
        owner=header.owner,
        pid=header.pid,
        is_delayed=header.is_delayed,
        is_whole=is_whole,
    )
