"""The folder: who holds a journal, who may take it up, what is dropped."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from contracts.report import Source
from sidecar.journal import Journal, Key, name_of
from sidecar.spool import ASIDE_SUFFIX, MAX_AGE_S, UNBORN_S, Spool
from tests.sidecar.test_journal import CALL_ID, line, names

OTHER_ID = "6f0b1c9e-8a52-4b7e-9f53-0c5a3c1d2e4f"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", "w", max_bytes=2**20)


def path_in(spool: Spool, call_id: str = CALL_ID) -> Path:
    return spool.folder / name_of(Key(call_id, Source.AGENT, 1))


def opened(spool: Spool, call_id: str = CALL_ID) -> Journal:
    journal = spool.open(call_id, Source.AGENT, 1)
    journal.append(line("a"))
    return journal


def abandoned(spool: Spool, call_id: str = CALL_ID) -> Path:
    opened(spool, call_id).close()
    return path_in(spool, call_id)


def test_folder_that_is_not_there_is_empty(spool: Spool) -> None:
    assert spool.journals() == {}
    assert spool.trim() == 0


def test_journal_somebody_holds_is_left_alone(spool: Spool) -> None:
    journal = opened(spool)
    path = path_in(spool)
    assert spool.take_up(path) is None
    assert not spool.is_waiting(path)
    seen = spool.look_into(path)
    assert seen is not None
    left, is_held = seen
    assert (names(left), is_held) == (["a"], True)

    journal.mark_delayed()
    assert spool.is_waiting(path)

    journal.close()
    assert spool.is_waiting(path)
    with spool.take_up(path) or pytest.fail("it is nobody's") as taken:
        assert names(taken.left) == ["a"]
        assert spool.take_up(path) is None
        taken.drop()
    assert spool.journals() == {}


def test_process_killed_outright_lets_go_of_its_journal(spool: Spool) -> None:
    pid = os.fork()
    if pid == 0:
        opened(spool)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    with spool.take_up(path_in(spool)) or pytest.fail("its owner is dead") as taken:
        assert (names(taken.left), taken.left.pid) == (["a"], pid)


def test_journal_its_owner_has_just_removed_is_not_taken_up(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(spool)
    path = path_in(spool)
    open_file = os.open

    def open_then_lose(*args: object) -> int:
        file = open_file(*args)  # type: ignore[arg-type]
        journal.discard()
        return file

    monkeypatch.setattr(os, "open", open_then_lose)
    assert spool.take_up(path) is None


def test_what_is_no_journal_is_set_aside_and_not_looked_at_again(spool: Spool) -> None:
    spool.folder.mkdir()
    path = path_in(spool)
    path.write_bytes(b"\0" * 4096)
    assert spool.look_into(path) is None
    assert spool.take_up(path) is None
    assert spool.journals() == {}
    assert path.with_name(path.name + ASIDE_SUFFIX).exists()


def test_links_pipes_folders_and_strangers_are_not_touched(spool: Spool) -> None:
    spool.folder.mkdir()
    outside = spool.folder.parent / "secret"
    outside.write_text("hello")
    path_in(spool).symlink_to(outside)
    os.mkfifo(path_in(spool, OTHER_ID))
    (spool.folder / "notes.jsonl").write_text("hello")
    (spool.folder / "folder.jsonl").mkdir()
    assert spool.journals() == {}
    assert spool.take_up(path_in(spool)) is None
    assert spool.take_up(path_in(spool, OTHER_ID)) is None
    assert spool.take_up(spool.folder / "notes.jsonl") is None
    assert outside.read_text() == "hello"


def test_journal_beyond_any_size_of_ours_is_set_aside_unread(spool: Spool) -> None:
    path = abandoned(spool)
    os.truncate(path, 2**33)
    assert spool.take_up(path) is None
    assert path.with_name(path.name + ASIDE_SUFFIX).exists()


def test_folder_that_cannot_be_made_leaves_facts_in_memory(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("in the way")
    journal = opened(Spool(tmp_path / "spool", "w", max_bytes=2**20))
    assert not journal.is_sound
    journal.discard()


def test_what_is_too_old_goes_unless_its_owner_lives(spool: Spool) -> None:
    held, left = opened(spool), abandoned(spool, OTHER_ID)
    long_ago = time.time() - MAX_AGE_S - 60
    for path in (path_in(spool), left):
        os.utime(path, (long_ago, long_ago))
    aside = spool.folder / f"x.jsonl{ASIDE_SUFFIX}"
    aside.write_text("?")
    assert spool.trim() == 1
    assert not left.exists()
    assert path_in(spool).exists()
    assert aside.exists()
    held.discard()


def test_above_its_bound_the_oldest_go_first(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "w", max_bytes=1500)
    ids = [CALL_ID[:-1] + digit for digit in "0123"]
    for age, call_id in enumerate(reversed(ids)):
        at = time.time() - 60 - age
        os.utime(abandoned(spool, call_id), (at, at))
    assert spool.trim() == 2
    assert {key.call_id for key in spool.journals().values()} == set(ids[2:])


def test_file_of_an_owner_killed_at_birth_is_cleared_away(spool: Spool) -> None:
    spool.folder.mkdir()
    unborn = spool.folder / ".x.1.new"
    unborn.write_bytes(b"")
    assert spool.trim() == 0
    assert unborn.exists()
    long_ago = time.time() - UNBORN_S - 1
    os.utime(unborn, (long_ago, long_ago))
    assert spool.trim() == 0
    assert not unborn.exists()
