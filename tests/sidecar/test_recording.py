"""Recording files: safe keys, whole uploads that are what was announced, nothing left behind."""

from __future__ import annotations

import hashlib
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from sidecar.denial import Code, Denied
from sidecar.erasure import RecordingStuck
from sidecar.recording import RecordingFolder, incarnation_of, is_ours, new_token, segment_key
from sidecar.store.recordings import RecordingRow
from tests.fakes.control_plane import START
from tests.fakes.recordings import chunks

DAY = "recordings/2026/06/05/"
KEY = f"{DAY}s1.wav"


def folder(path: Path) -> RecordingFolder:
    return RecordingFolder(path / "recordings", "https://voice.example/")


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def files(path: Path) -> list[str]:
    return sorted(str(each.relative_to(path)) for each in path.rglob("*") if each.is_file())


@pytest.mark.parametrize(
    ("session_id", "name"),
    [
        ("s-1", "s-1.wav"),
        ("../../etc/passwd", "c1.wav"),
        ("a/b", "c1.wav"),
        (".hidden", "c1.wav"),
        ("", "c1.wav"),
        ("ä", "c1.wav"),
        ("x\n", "c1.wav"),
        ("x" * 201, "c1.wav"),
    ],
)
def test_key_is_always_fit_for_a_file_name(session_id: str, name: str) -> None:
    key = RecordingFolder.key_of(session_id, "c1", START)
    assert key == DAY + name
    assert is_ours(key)


def test_day_of_a_key_is_that_of_utc() -> None:
    evening = datetime(2026, 6, 4, 22, 0, tzinfo=timezone(timedelta(hours=-5)))
    assert RecordingFolder.key_of("s1", "c1", evening) == KEY


@pytest.mark.parametrize(
    "key",
    [
        "../x.wav",
        "/x.wav",
        "x",
        ".x.wav",
        "x.wav/..",
        "x.wav\n",
        "recordings/x.wav",
        "recordings/2026/06/05/../x.wav",
        "recordings/2026/06/05/a/x.wav",
        "segments/2026/06/05/../1.wav",
        "segments/2026/06/05/s1/0.wav",
        "segments/2026/06/05/s1/x.wav",
    ],
)
def test_file_of_refuses_what_is_no_key(tmp_path: Path, key: str) -> None:
    assert folder(tmp_path).file_of(key) is None
    assert not is_ours(key)


def test_segment_of_one_session_is_never_the_recording_of_another(tmp_path: Path) -> None:
    recordings = folder(tmp_path)
    segment = segment_key(KEY, 2)
    assert segment == "segments/2026/06/05/s1/2.wav"
    assert incarnation_of(segment) == 2
    assert incarnation_of(KEY) is None
    assert recordings.file_of(segment) != recordings.file_of(KEY)
    assert recordings.file_of(KEY) == tmp_path / "recordings" / "2026/06/05/s1.wav"
    # From before there were days.
    assert recordings.file_of("s1.wav") == tmp_path / "recordings" / "s1.wav"


async def test_upload_is_stored_under_its_key(tmp_path: Path) -> None:
    recordings = folder(tmp_path)
    arrived = await recordings.store(KEY, chunks(b"RI", b"FF"), sha256_of(b"RIFF"))
    assert arrived.size_bytes == 4
    assert files(recordings.path) == ["2026/06/05/s1.wav"]
    assert (recordings.path / "2026/06/05/s1.wav").read_bytes() == b"RIFF"


async def test_upload_that_breaks_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    recordings = folder(tmp_path)
    await recordings.store(KEY, chunks(b"old"), sha256_of(b"old"))
    with pytest.raises(ConnectionError):
        await recordings.store(KEY, chunks(b"ne", ConnectionError()), sha256_of(b"new"))
    assert files(recordings.path) == ["2026/06/05/s1.wav"]
    assert (recordings.path / "2026/06/05/s1.wav").read_bytes() == b"old"


async def test_upload_that_is_something_else_is_refused(tmp_path: Path) -> None:
    recordings = folder(tmp_path)
    with pytest.raises(Denied) as caught:
        await recordings.store(KEY, chunks(b"corrupt"), sha256_of(b"correct"))
    assert caught.value.code is Code.RECORDING_DIFFERS
    assert files(recordings.path) == []


async def test_upload_without_end_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    recordings = folder(tmp_path)
    with pytest.raises(Denied):
        await recordings.store(KEY, chunks(b"RIFF", b"RIFF"), "", max_bytes=7)
    assert files(tmp_path) == []


async def test_deleted_recording_takes_its_segments_along(tmp_path: Path) -> None:
    recordings = folder(tmp_path)
    for key in (KEY, segment_key(KEY, 1), segment_key(KEY, 2), f"{DAY}s2.wav"):
        await recordings.store(key, chunks(b"x"), sha256_of(b"x"))
    assert sorted(await recordings.segments(KEY)) == [segment_key(KEY, 1), segment_key(KEY, 2)]
    await recordings.delete(segment_key(KEY, 2))
    assert await recordings.segments(KEY) == [segment_key(KEY, 1)]
    await recordings.delete(KEY)
    await recordings.delete(KEY)
    assert files(recordings.path) == ["2026/06/05/s2.wav"]


async def test_recording_that_cannot_be_removed_is_told(tmp_path: Path) -> None:
    recordings = folder(tmp_path)
    (recordings.path / "2026/06/05/s1.wav").mkdir(parents=True)
    with pytest.raises(RecordingStuck):
        await recordings.delete(KEY)


def test_what_a_crash_left_is_removed_after_a_day(tmp_path: Path) -> None:
    recordings = folder(tmp_path)
    old, new = recordings.scratch(), recordings.scratch()
    old.write_bytes(b"a voice")
    new.write_bytes(b"arriving")
    os.utime(old, (0, 0))
    recordings.tidy()
    assert [each.exists() for each in (old, new)] == [False, True]


def test_link_is_public_and_unguessable(tmp_path: Path) -> None:
    row = RecordingRow(KEY, "default", "c1", new_token(), None, None, START, None)
    link = folder(tmp_path).link(row)
    assert link.url == f"https://voice.example/api/v1/public/recordings/{row.token}"
    assert len(row.token) == 32
    assert new_token() != row.token
