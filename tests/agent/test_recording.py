"""The two-channel WAV: at its end, cut off anywhere, on a disk that fails, behind another one."""

from __future__ import annotations

import errno
import os
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.recording import Recorder, is_being_written, mend
from contracts.wav import HEADER_BYTES, MAX_FRAMES, Wav

RATE_HZ = 8000


class Notices(list[tuple[str, dict[str, Any]]]):
    """What a recorder told."""

    def __call__(self, name: str, detail: dict[str, Any]) -> None:
        self.append((name, detail))


def recorder_at(path: Path, tell: Notices | None = None) -> Recorder:
    return Recorder(path, RATE_HZ, tell if tell is not None else Notices())


def tone(duration_ms: int, value: int) -> bytes:
    return np.full(RATE_HZ * duration_ms // 1000, value, dtype="<i2").tobytes()


def speak(recorder: Recorder, start_ms: int, end_ms: int, value: int = 1) -> None:
    """Both sides sound, in packets as they come from a bridge."""
    for at_ms in range(start_ms + 40, end_ms + 1, 40):
        recorder.add(at_ms=at_ms, caller=tone(40, value), bot=tone(40, -value))


def channels(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE_HZ)
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)


def ms(samples: np.ndarray, start: int, end: int) -> np.ndarray:
    return samples[start * RATE_HZ // 1000 : end * RATE_HZ // 1000]


@contextmanager
def failing(call: str, number: int = errno.ENOSPC) -> Iterator[None]:
    """A disk that refuses one system call."""
    with mock.patch(f"agent.recording.os.{call}", side_effect=OSError(number, os.strerror(number))):
        yield


def test_caller_is_left_and_bot_is_right(tmp_path: Path) -> None:
    with recorder_at(tmp_path / "call.wav") as recorder:
        for end_ms in range(40, 401, 40):
            bot = tone(40, 2) if end_ms > 200 else b""
            recorder.add(at_ms=end_ms, caller=tone(40, 1), bot=bot)
    samples = channels(tmp_path / "call.wav")
    assert len(samples) == RATE_HZ * 400 // 1000
    assert (samples[:, 0] == 1).all()
    assert (ms(samples, 0, 200)[:, 1] == 0).all()
    assert (ms(samples, 200, 400)[:, 1] == 2).all()


def test_gap_in_caller_audio_becomes_silence(tmp_path: Path) -> None:
    with recorder_at(tmp_path / "call.wav") as recorder:
        recorder.add(at_ms=40, caller=tone(40, 1), bot=b"")
        recorder.add(at_ms=1040, caller=tone(40, 1), bot=b"")
    left = channels(tmp_path / "call.wav")[:, 0]
    assert (ms(left, 0, 40) == 1).all()
    assert (ms(left, 40, 1000) == 0).all()
    assert (ms(left, 1000, 1040) == 1).all()


def test_arrival_jitter_is_not_a_gap(tmp_path: Path) -> None:
    with recorder_at(tmp_path / "call.wav") as recorder:
        recorder.add(at_ms=40, caller=tone(40, 1), bot=b"")
        recorder.add(at_ms=110, caller=tone(40, 1), bot=b"")
        recorder.add(at_ms=120, caller=tone(40, 1), bot=b"")
    assert (channels(tmp_path / "call.wav")[:, 0] == 1).all()


def test_file_is_valid_while_the_call_goes_on(tmp_path: Path) -> None:
    recorder = recorder_at(tmp_path / "call.wav")
    speak(recorder, 0, 3000)
    assert is_being_written(tmp_path / "call.wav")
    seconds = len(channels(tmp_path / "call.wav")) / RATE_HZ
    assert 1.9 <= seconds <= 3.0
    assert recorder.close() == 3.0
    assert recorder.close() == 3.0
    assert not is_being_written(tmp_path / "call.wav")


def test_audio_that_comes_after_the_end_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    with recorder_at(path) as recorder:
        recorder.add(at_ms=400, caller=tone(400, 1), bot=b"")
    whole = path.read_bytes()
    recorder.add(at_ms=440, caller=tone(40, 2), bot=b"")
    recorder.close()
    assert path.read_bytes() == whole
    assert len(channels(path)) == RATE_HZ * 400 // 1000


def test_nothing_heard_leaves_no_file(tmp_path: Path) -> None:
    assert recorder_at(tmp_path / "call.wav").close() == 0.0
    assert list(tmp_path.iterdir()) == []


def test_later_incarnation_stands_where_it_was_heard(tmp_path: Path) -> None:
    path = tmp_path / "call.2.wav"
    with recorder_at(path) as recorder:
        speak(recorder, 3_600_000, 3_602_000, value=3)
        assert len(recorder._caller.samples) < 10 * RATE_HZ * 2
    samples = channels(path)
    assert len(samples) == 3602 * RATE_HZ
    assert (ms(samples, 0, 3_600_000) == 0).all()
    assert (ms(samples, 3_600_000, 3_602_000)[:, 0] == 3).all()
    # The hour before it takes no room.
    assert path.stat().st_blocks * 512 < 1_000_000


def test_audio_beyond_what_a_wav_can_hold_is_left_out(tmp_path: Path) -> None:
    with recorder_at(tmp_path / "call.wav") as recorder:
        speak(recorder, 0, 1000)
        recorder.add(at_ms=MAX_FRAMES * 1000 // RATE_HZ + 1000, caller=tone(40, 9), bot=b"")
    assert len(channels(tmp_path / "call.wav")) == RATE_HZ


@pytest.mark.parametrize("call", ["open", "pwrite"])
def test_short_failure_costs_nothing_and_is_no_news(tmp_path: Path, call: str) -> None:
    notices = Notices()
    recorder = recorder_at(tmp_path / "call.wav", notices)
    with failing(call):
        speak(recorder, 0, 5000)
    speak(recorder, 5000, 12_000)
    recorder.close()
    samples = channels(tmp_path / "call.wav")
    assert len(samples) == 12 * RATE_HZ
    assert (samples[:, 0] == 1).all()
    assert notices == []


def test_long_failure_becomes_silence_and_is_told(tmp_path: Path) -> None:
    notices = Notices()
    recorder = recorder_at(tmp_path / "call.wav", notices)
    speak(recorder, 0, 4000)
    with failing("pwrite"):
        speak(recorder, 4000, 64_000)
        assert len(recorder._caller.samples) <= 10 * RATE_HZ * 2
        assert notices == [("recording_failed", {"error": "No space left on device"})]
    speak(recorder, 64_000, 90_000, value=5)
    recorder.close()
    samples = channels(tmp_path / "call.wav")
    assert len(samples) == 90 * RATE_HZ
    assert (ms(samples, 0, 2900)[:, 0] == 1).all()
    assert (ms(samples, 5000, 50_000) == 0).all()
    assert (ms(samples, 80_000, 90_000)[:, 0] == 5).all()
    missing_s = int((samples[:, 0] == 0).sum()) / RATE_HZ
    (_, resumed) = notices
    assert resumed == ("recording_resumed", {"missing_s": pytest.approx(missing_s, abs=0.1)})
    assert missing_s < 80


def test_disk_is_asked_ever_more_rarely(tmp_path: Path) -> None:
    recorder = recorder_at(tmp_path / "call.wav")
    with mock.patch("agent.recording.os.open", side_effect=OSError(errno.EMFILE, "")) as opened:
        speak(recorder, 0, 1000)
        assert opened.call_count == 3
        speak(recorder, 1000, 600_000)
        assert opened.call_count < 50


def test_recording_that_never_began_is_told_at_the_end(tmp_path: Path) -> None:
    notices = Notices()
    with failing("open", errno.EACCES), recorder_at(tmp_path / "call.wav", notices) as recorder:
        speak(recorder, 0, 2000)
    assert notices == [("recording_failed", {"error": "Permission denied"})]
    assert not (tmp_path / "call.wav").exists()


def test_disk_that_takes_a_part_is_given_the_rest(tmp_path: Path) -> None:
    real = os.pwrite

    def part(file: int, data: Any, offset: int) -> int:
        return real(file, data[:1000], offset)

    with mock.patch("agent.recording.os.pwrite", part), recorder_at(tmp_path / "c.wav") as recorder:
        speak(recorder, 0, 2000)
    assert (channels(tmp_path / "c.wav")[:, 0] == 1).all()


@given(cut=st.integers(0, HEADER_BYTES + 4 * 3 * RATE_HZ))
def test_file_cut_anywhere_plays_up_to_there(cut: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "call.wav"
        with recorder_at(path) as recorder:
            for n, at_ms in enumerate(range(40, 3001, 40)):
                recorder.add(at_ms=at_ms, caller=tone(40, n), bot=tone(40, -n))
        whole = path.read_bytes()
        os.truncate(path, cut)
        wav = mend(path)
        if cut < HEADER_BYTES:
            assert wav is None
            return
        kept = (cut - HEADER_BYTES) // 4
        assert wav == Wav(RATE_HZ, kept)
        assert path.stat().st_size == wav.size_bytes
        assert channels(path).tobytes() == whole[HEADER_BYTES : HEADER_BYTES + 4 * kept]


def test_audio_the_header_does_not_tell_of_is_found(tmp_path: Path) -> None:
    """Killed between the second's audio and its header."""
    path = tmp_path / "call.wav"
    with recorder_at(path) as recorder:
        speak(recorder, 0, 2000)
    whole = path.read_bytes()
    path.write_bytes(Wav(RATE_HZ, RATE_HZ).header() + whole[HEADER_BYTES:])
    assert mend(path) == Wav(RATE_HZ, 2 * RATE_HZ)
    assert path.read_bytes() == whole


def test_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "not.wav"
    path.write_bytes(b"RIFF")
    assert mend(path) is None
    assert path.read_bytes() == b"RIFF"
