"""The format of recordings: 16-bit stereo WAV, caller left, bot right, complete or cut short.

A process killed while it records leaves a header that tells less than its file holds, a failing
disk one that tells more. What counts is the file: every whole frame in it is sound.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self

HEADER_BYTES = 44
SAMPLE_BYTES = 2
CHANNELS = 2
FRAME_BYTES = CHANNELS * SAMPLE_BYTES
MAX_FRAMES = (2**32 - 1 - HEADER_BYTES) // FRAME_BYTES
"""What the format's 32-bit sizes can name: 18 hours at 16 kHz."""

_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_PCM = 1


@dataclass(frozen=True, slots=True)
class Wav:
    """What a recording's file holds."""

    rate_hz: int
    frames: int

    @classmethod
    def parse(cls, head: bytes, size_bytes: int) -> Self:
        """Read a file's first `HEADER_BYTES`; its size, not its header, says how much there is.

        Raises:
            ValueError: it is not a recording of ours.
        """
        if len(head) < HEADER_BYTES:
            raise ValueError(f"{len(head)} bytes are not a WAV header")
        riff, _, wave, fmt, _, pcm, channels, rate_hz, _, frame_bytes, _, data, _ = _HEADER.unpack(
            head[:HEADER_BYTES]
        )
        if (riff, wave, fmt, data) != (b"RIFF", b"WAVE", b"fmt ", b"data"):
            raise ValueError("not a WAV file as recordings are")
        if (pcm, channels, frame_bytes) != (_PCM, CHANNELS, FRAME_BYTES) or not rate_hz:
            raise ValueError("not 16-bit stereo PCM")
        return cls(rate_hz, min((size_bytes - HEADER_BYTES) // FRAME_BYTES, MAX_FRAMES))

    def header(self) -> bytes:
        """Return the header of a file that holds exactly this."""
        data_bytes = self.frames * FRAME_BYTES
        return _HEADER.pack(
            b"RIFF", HEADER_BYTES - 8 + data_bytes, b"WAVE", b"fmt ", 16, _PCM, CHANNELS,
            self.rate_hz, self.rate_hz * FRAME_BYTES, FRAME_BYTES, 8 * SAMPLE_BYTES,
            b"data", data_bytes,
        )  # fmt: skip

    @property
    def size_bytes(self) -> int:
        """How big the file is."""
        return HEADER_BYTES + self.frames * FRAME_BYTES

    @property
    def duration_s(self) -> float:
        """How long it plays."""
        return self.frames / self.rate_hz
