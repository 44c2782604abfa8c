"""Segments joined: each from its first sound to the next one's, silence between, nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.wav import Wav
from sidecar.splice import SegmentUnfit, splice
from tests.fakes.recordings import RATE_HZ, stretches_of, wav_of


def joined(folder: Path, *segments: bytes) -> bytes:
    paths = []
    for number, content in enumerate(segments):
        paths.append(folder / f"{number}.wav")
        paths[-1].write_bytes(content)
    joint = folder / "joint.wav"
    wav = splice(paths, joint)
    assert wav.size_bytes == joint.stat().st_size
    return joint.read_bytes()


def test_gap_between_two_agents_is_silence_of_its_length(tmp_path: Path) -> None:
    first, second = wav_of((1.0, 1)), wav_of((3.5, 0), (1.0, 2))
    assert stretches_of(joined(tmp_path, first, second)) == [(1.0, 1), (2.5, 0), (1.0, 2)]


def test_agent_that_came_back_is_heard_up_to_its_successor(tmp_path: Path) -> None:
    frozen = wav_of((1.0, 1), (1.0, 0), (3.0, 9))
    second = wav_of((3.0, 0), (1.0, 2))
    assert stretches_of(joined(tmp_path, frozen, second)) == [
        (1.0, 1), (1.0, 0), (1.0, 9), (1.0, 2), (1.0, 0),
    ]  # fmt: skip


def test_one_segment_is_itself_and_silence_lasts(tmp_path: Path) -> None:
    assert stretches_of(joined(tmp_path, wav_of((1.0, 4)))) == [(1.0, 4)]
    silent = wav_of((2.0, 0))
    assert stretches_of(joined(tmp_path, wav_of((1.0, 1)), silent)) == [(1.0, 1), (1.0, 0)]


@given(
    spans=st.lists(st.tuples(st.integers(1, 400), st.integers(1, 400)), min_size=1, max_size=4),
    ends_in_frame=st.integers(0, 3),
)
def test_join_holds_every_segment_at_its_place(
    tmp_path_factory: pytest.TempPathFactory, spans: list[tuple[int, int]], ends_in_frame: int
) -> None:
    """Spans of (silence before, sound) in frames; the last file may be cut within a frame."""
    rate, at, segments, expected = 1000, 0, [], b""
    for number, (gap, sound) in enumerate(spans, start=1):
        at += gap
        value = number.to_bytes(2, "little") * 2
        segments.append(Wav(rate, at + sound).header() + bytes(4 * at) + value * sound)
        expected += bytes(4 * gap) + value * sound
        at += sound
    segments[-1] += b"\1" * ends_in_frame
    whole = joined(tmp_path_factory.mktemp("spliced"), *segments)
    assert whole == Wav(rate, at).header() + expected


def test_long_segments_are_joined_block_by_block(tmp_path: Path) -> None:
    first, second = wav_of((20.0, 1)), wav_of((21.0, 0), (20.0, 2))
    assert stretches_of(joined(tmp_path, first, second)) == [(20.0, 1), (1.0, 0), (20.0, 2)]


@pytest.mark.parametrize("unfit", [b"nonsense", wav_of((1.0, 1), rate_hz=2 * RATE_HZ)])
def test_what_does_not_fit_is_told(tmp_path: Path, unfit: bytes) -> None:
    with pytest.raises(SegmentUnfit):
        joined(tmp_path, wav_of((1.0, 1)), unfit)
