"""Joins what several incarnations of a call's agent recorded into one WAV.

Every segment counts from the same zero, the answer, with silence up to where its agent came. Each
one holds from its first sound to that of the next; what lies between two is silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from contracts.wav import FRAME_BYTES, HEADER_BYTES, Wav

_BLOCK_BYTES = 256 * 1024


class SegmentUnfit(Exception):
    """A file is no recording, or has another rate than those before it."""


def splice(segments: Sequence[Path], joint: Path) -> Wav:
    """Write the join of `segments`, oldest first, to `joint`, and return what it holds.

    Raises:
        SegmentUnfit: they cannot be joined.
        OSError: a file cannot be read or written.
    """
    wavs = [_wav_of(path) for path in segments]
    if len({wav.rate_hz for wav in wavs}) != 1:
        raise SegmentUnfit("the segments differ in rate")
    starts = [_first_sound(path, wav) for path, wav in zip(segments, wavs, strict=True)]
    whole = Wav(wavs[0].rate_hz, max(wav.frames for wav in wavs))
    with joint.open("wb") as out:
        # What nobody writes is a hole, and reads as silence.
        out.truncate(whole.size_bytes)
        out.write(whole.header())
        for number, path in enumerate(segments):
            end = min([wavs[number].frames, *starts[number + 1 :]])
            with path.open("rb") as file:
                _copy(file, out, starts[number], end)
    return whole


def _wav_of(path: Path) -> Wav:
    with path.open("rb") as file:
        try:
            return Wav.parse(file.read(HEADER_BYTES), path.stat().st_size)
        except ValueError as error:
            raise SegmentUnfit(str(error)) from error


def _first_sound(path: Path, wav: Wav) -> int:
    """Return the first frame that is not silent, or the number of frames."""
    with path.open("rb") as file:
        file.seek(HEADER_BYTES)
        at = 0
        while block := file.read(_BLOCK_BYTES):
            silent = len(block) - len(block.lstrip(b"\0"))
            if silent < len(block):
                return min((at + silent) // FRAME_BYTES, wav.frames)
            at += len(block)
    return wav.frames


def _copy(source: BinaryIO, target: BinaryIO, start: int, end: int) -> None:
    for file in (source, target):
        file.seek(HEADER_BYTES + start * FRAME_BYTES)
    left = max(0, end - start) * FRAME_BYTES
    while left and (block := source.read(min(left, _BLOCK_BYTES))):
        target.write(block)
        left -= len(block)
