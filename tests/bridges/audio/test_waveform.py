"""Finding speech by its energy."""

from __future__ import annotations

import array
import math

import pytest

from bridges.audio.waveform import Span, loud_spans, samples_of


def tone(seconds: float, amplitude: int = 8000, rate_hz: int = 8000) -> bytes:
    count = int(seconds * rate_hz)
    wave = (int(amplitude * math.sin(2 * math.pi * 440 * n / rate_hz)) for n in range(count))
    return array.array("h", wave).tobytes()


def silence(seconds: float) -> bytes:
    return bytes(int(seconds * 8000) * 2)


def spans_of(pcm: bytes) -> list[tuple[float, float]]:
    return [(round(span.start_s, 3), round(span.end_s, 3)) for span in loud_spans(pcm)]


def test_silence_has_no_spans() -> None:
    assert loud_spans(silence(1.0)) == []
    assert loud_spans(b"") == []


def test_utterances_are_found_where_they_are() -> None:
    pcm = silence(0.5) + tone(0.4) + silence(0.6) + tone(0.2)

    assert spans_of(pcm) == [(0.5, 0.9), (1.5, 1.7)]


def test_short_pause_belongs_to_the_utterance() -> None:
    assert spans_of(tone(0.2) + silence(0.2) + tone(0.2)) == [(0.0, 0.6)]


def test_line_noise_is_silence() -> None:
    assert loud_spans(tone(1.0, amplitude=200)) == []


def test_rate_and_thresholds_can_be_set() -> None:
    spans = loud_spans(tone(0.1, 200, rate_hz=16000), rate_hz=16000, loud_rms=50)

    assert len(spans) == 1
    assert spans[0].end_s == pytest.approx(0.1)
    assert isinstance(spans[0], Span)


def test_half_a_sample_is_left_out() -> None:
    assert list(samples_of(b"\x01\x00\x02")) == [1]
