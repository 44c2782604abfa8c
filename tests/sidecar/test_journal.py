"""What a killed process leaves: read back up to where it was killed, whatever stands there."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from contracts.report import Fact, Noticed, Source
from sidecar.journal import (
    HEADER_BYTES,
    MAX_BYTES,
    Journal,
    Key,
    Left,
    NotAJournal,
    key_of,
    name_of,
    parse,
)

CALL_ID = "5f0b1c9e-8a52-4b7e-9f53-0c5a3c1d2e4f"
KEY = Key(CALL_ID, Source.AGENT, 2)
AT = datetime(2026, 6, 5, 10, 0, tzinfo=UTC)


def fact(name: str) -> Fact:
    return Noticed(at=AT, name=name)


def line(name: str) -> bytes:
    return fact(name).model_dump_json().encode()


def written(folder: Path, *names: str) -> bytes:
    """Return the file of a process that told so much and was killed."""
    journal = Journal.create(folder, KEY, "worker-1")
    for name in names:
        journal.append(line(name))
    journal.close()
    path = folder / name_of(KEY)
    data = path.read_bytes()
    path.unlink()
    return data


def names(left: Left) -> list[str]:
    return [each.name for each in left.facts if isinstance(each, Noticed)]


def test_journal_is_read_back_as_it_was_told(tmp_path: Path) -> None:
    left = parse(KEY, written(tmp_path, "a", "b"))
    assert (names(left), left.seq, left.is_whole) == (["a", "b"], 1, True)
    assert (left.owner, left.pid, left.is_delayed) == ("worker-1", os.getpid(), False)
    assert left.sizes_bytes == (len(line("a")), len(line("b")))


@given(told=st.lists(st.text(max_size=40), max_size=6), data=st.data())
def test_process_killed_at_any_byte_leaves_the_beginning_of_what_it_told(
    tmp_path_factory: pytest.TempPathFactory, told: list[str], data: st.DataObject
) -> None:
    whole = written(tmp_path_factory.mktemp("spool"), *told)
    cut = data.draw(st.integers(0, len(whole)))
    left = parse(KEY, whole[:cut])
    assert names(left) == told[: len(left.facts)]
    assert left.is_whole
    complete = HEADER_BYTES
    for size_bytes in left.sizes_bytes:
        complete += size_bytes + 1
    assert complete <= max(cut, HEADER_BYTES)
    assert whole[:cut].count(b"\n", HEADER_BYTES) == len(left.facts)


@given(junk=st.binary(max_size=2 * HEADER_BYTES))
def test_what_is_no_journal_is_called_so(junk: bytes) -> None:
    if len(junk) < HEADER_BYTES:
        assert parse(KEY, junk) == Left(KEY)
    else:
        with pytest.raises(NotAJournal):
            parse(KEY, junk)


@given(junk=st.binary(max_size=200))
def test_facts_before_what_cannot_be_understood_are_kept(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes
) -> None:
    whole = written(tmp_path_factory.mktemp("spool"), "a", "b")
    left = parse(KEY, whole + b"\0" + junk + b"\n" + line("c") + b"\n")
    assert (names(left), left.is_whole) == (["a", "b"], False)


def test_journal_of_another_call_or_version_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    data = written(tmp_path, "a")
    with pytest.raises(NotAJournal, match="another call"):
        parse(Key(CALL_ID, Source.AGENT, 3), data)
    with pytest.raises(NotAJournal, match="no header"):
        parse(KEY, data.replace(b'"version":1', b'"version":9', 1))


def test_only_what_the_sidecar_does_not_have_stands_in_it(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, KEY, "w")
    for name in ("a", "b", "c"):
        journal.append(line(name))
    journal.mark_delayed()
    assert parse(KEY, (tmp_path / name_of(KEY)).read_bytes()).is_delayed
    journal.reset(4)
    journal.append(line("d"))
    left = parse(KEY, (tmp_path / name_of(KEY)).read_bytes())
    assert (names(left), left.seq, left.is_delayed) == (["d"], 4, False)
    journal.discard()
    assert list(tmp_path.iterdir()) == []


def test_second_owner_never_writes_over_the_first(tmp_path: Path) -> None:
    first = Journal.create(tmp_path, KEY, "w")
    first.append(line("a"))
    with pytest.raises(FileExistsError):
        Journal.create(tmp_path, KEY, "w")
    assert names(parse(KEY, (tmp_path / name_of(KEY)).read_bytes())) == ["a"]
    assert [path.name for path in tmp_path.iterdir()] == [name_of(KEY)]
    first.close()


def test_full_disk_is_told_once_and_trusted_again_once_everything_has_been_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal.create(tmp_path, KEY, "w")
    journal.append(line("a"))

    def full(file: int, data: bytes, offset: int) -> int:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch, structlog.testing.capture_logs() as logs:
        patch.setattr(os, "pwrite", full)
        journal.append(line("b"))
        journal.append(line("c"))
    assert [entry["event"] for entry in logs] == ["journal_failed"]
    assert not journal.is_sound

    journal.append(line("d"))
    assert names(parse(KEY, (tmp_path / name_of(KEY)).read_bytes())) == ["a"]
    journal.reset(5)
    journal.append(line("e"))
    assert journal.is_sound
    left = parse(KEY, (tmp_path / name_of(KEY)).read_bytes())
    assert (names(left), left.seq) == (["e"], 5)
    journal.close()


def test_disk_that_takes_a_part_of_a_fact_counts_as_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal.create(tmp_path, KEY, "w")
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, at: write(file, data[:7], at))
    journal.append(line("a"))
    assert not journal.is_sound
    journal.close()
    assert parse(KEY, (tmp_path / name_of(KEY)).read_bytes()).facts == ()


def test_journal_without_room_for_its_header_still_shows_a_beat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", lambda *_: 0)
        journal = Journal.create(tmp_path, KEY, "w")
    path = tmp_path / name_of(KEY)
    os.utime(path, (0, 0))
    journal.beat()
    assert path.stat().st_mtime > 0
    assert parse(KEY, path.read_bytes()) == Left(KEY)
    journal.close()


def test_journal_grows_no_further_than_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.journal.MAX_BYTES", HEADER_BYTES + len(line("a")) + 1)
    journal = Journal.create(tmp_path, KEY, "w")
    journal.append(line("a"))
    assert journal.is_sound
    journal.append(line("b"))
    assert not journal.is_sound
    journal.close()
    assert len((tmp_path / name_of(KEY)).read_bytes()) < MAX_BYTES


def test_file_is_nobody_elses_to_read(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    journal = Journal.create(folder, KEY, "w")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / name_of(KEY)).stat().st_mode & 0o777 == 0o600
    journal.close()


def test_closed_journal_takes_nothing_and_may_be_closed_again(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, KEY, "w")
    journal.append(line("a"))
    journal.close()
    journal.append(line("b"))
    journal.reset(9)
    journal.mark_delayed()
    journal.beat()
    journal.discard()
    assert names(parse(KEY, (tmp_path / name_of(KEY)).read_bytes())) == ["a"]


@pytest.mark.parametrize("call_id", ["", "../etc/passwd", "a/b", "a.b", "x" * 65, "a\n"])
def test_call_id_no_file_can_be_named_after_is_refused(call_id: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="call id"):
        Journal.create(tmp_path, Key(call_id, Source.AGENT, 1), "w")
    assert list(tmp_path.iterdir()) == []


def test_names_lead_back_to_their_keys() -> None:
    for key in (KEY, Key("c1", Source.BRIDGE, 1)):
        assert key_of(name_of(key)) == key
    for name in ("notes.jsonl", f"{CALL_ID}.agent.0.jsonl", f"{CALL_ID}.sidecar.1.jsonl", "x"):
        assert key_of(name) is None
