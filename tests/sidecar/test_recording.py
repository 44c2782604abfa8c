"""Recording files: safe keys, whole uploads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sidecar.denial import Denied
from sidecar.recording import RecordingFolder, new_token
from sidecar.store.recordings import RecordingRow
from tests.fakes.control_plane import START


async def chunks(*parts: bytes | Exception) -> AsyncIterator[bytes]:
    for part in parts:
        if isinstance(part, Exception):
            raise part
        yield part


def folder(path: Path) -> RecordingFolder:
    return RecordingFolder(path / "recordings", "https://voice.example/")


@pytest.mark.parametrize(
    ("session_id", "key"),
    [
        ("s-1", "s-1.wav"),
        ("../../etc/passwd", "c1.wav"),
        ("a/b", "c1.wav"),
        (".hidden", "c1.wav"),
        ("", "c1.wav"),
        ("ä", "c1.wav"),
        ("x" * 201, "c1.wav"),
    ],
)
def test_key_is_always_fit_for_a_file_name(session_id: str, key: str) -> None:
    assert RecordingFolder.key_of(session_id, "c1") == key


@pytest.mark.parametrize("key", ["../x.wav", "/x.wav", "x", ".x.wav", "x.wav/..", "x.wav\n"])
def test_file_of_refuses_what_is_no_key(tmp_path: Path, key: str) -> None:
    assert folder(tmp_path).file_of(key) is None


async def test_upload_is_stored_under_its_key(tmp_path: Path) -> None:
    recordings = folder(tmp_path)
    assert await recordings.store("s1.wav", chunks(b"RI", b"FF")) == 4
    path = recordings.file_of("s1.wav")
    assert path is not None
    assert path.read_bytes() == b"RIFF"


async def test_upload_that_breaks_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    recordings = folder(tmp_path)
    await recordings.store("s1.wav", chunks(b"old"))
    with pytest.raises(ConnectionError):
        await recordings.store("s1.wav", chunks(b"ne", ConnectionError()))
    assert [path.name for path in recordings.path.iterdir()] == ["s1.wav"]
    assert (recordings.path / "s1.wav").read_bytes() == b"old"


def test_link_is_public_and_unguessable(tmp_path: Path) -> None:
    row = RecordingRow("s1.wav", "default", "c1", new_token(), None, None, START, None)
    link = folder(tmp_path).link(row)
    assert link.url == f"https://voice.example/api/v1/public/recordings/{row.token}"
    assert len(row.token) == 32
    assert new_token() != row.token


async def test_upload_without_end_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    recordings = folder(tmp_path)
    with pytest.raises(Denied):
        await recordings.store("s1.wav", chunks(b"RIFF", b"RIFF"), max_bytes=7)
    assert list((tmp_path / "recordings").iterdir()) == []
