"""The two-channel WAV, at its end and cut off in the middle."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from agent.recording import Recorder, duration_s

RATE_HZ = 8000


def tone(duration_ms: int, value: int) -> bytes:
    return np.full(RATE_HZ * duration_ms // 1000, value, dtype="<i2").tobytes()


def channels(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE_HZ)
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)


def ms(samples: np.ndarray, start: int, end: int) -> np.ndarray:
    return samples[start * RATE_HZ // 1000 : end * RATE_HZ // 1000]


def test_caller_is_left_and_bot_is_right(tmp_path: Path) -> None:
    with Recorder(tmp_path / "call.wav", RATE_HZ) as recorder:
        for end_ms in range(40, 401, 40):
            bot = tone(40, 2) if end_ms > 200 else b""
            recorder.add(at_ms=end_ms, caller=tone(40, 1), bot=bot)
    samples = channels(tmp_path / "call.wav")
    assert len(samples) == RATE_HZ * 400 // 1000
    assert (samples[:, 0] == 1).all()
    assert (ms(samples, 0, 200)[:, 1] == 0).all()
    assert (ms(samples, 200, 400)[:, 1] == 2).all()


def test_gap_in_caller_audio_becomes_silence(tmp_path: Path) -> None:
    with Recorder(tmp_path / "call.wav", RATE_HZ) as recorder:
        recorder.add(at_ms=40, caller=tone(40, 1), bot=b"")
        recorder.add(at_ms=1040, caller=tone(40, 1), bot=b"")
    left = channels(tmp_path / "call.wav")[:, 0]
    assert (ms(left, 0, 40) == 1).all()
    assert (ms(left, 40, 1000) == 0).all()
    assert (ms(left, 1000, 1040) == 1).all()


def test_arrival_jitter_is_not_a_gap(tmp_path: Path) -> None:
    with Recorder(tmp_path / "call.wav", RATE_HZ) as recorder:
        recorder.add(at_ms=40, caller=tone(40, 1), bot=b"")
        recorder.add(at_ms=110, caller=tone(40, 1), bot=b"")
        recorder.add(at_ms=120, caller=tone(40, 1), bot=b"")
    assert (channels(tmp_path / "call.wav")[:, 0] == 1).all()


def test_file_is_valid_while_the_call_goes_on(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "call.wav", RATE_HZ)
    for end_ms in range(40, 3001, 40):
        recorder.add(at_ms=end_ms, caller=tone(40, 1), bot=tone(40, 2))
    killed_s = duration_s(tmp_path / "call.wav")
    assert 1.9 <= killed_s <= 3.0
    assert len(channels(tmp_path / "call.wav")) == round(killed_s * RATE_HZ)
    assert recorder.close() == 3.0
    assert recorder.close() == 3.0


def test_duration_of_something_else_is_zero(tmp_path: Path) -> None:
    (tmp_path / "not.wav").write_bytes(b"RIFF")
    assert duration_s(tmp_path / "not.wav") == 0.0
