"""G.711: A-law and µ-law to signed 16-bit PCM and back, by table, exactly as in ITU-T G.191."""

from __future__ import annotations

A_LAW_SILENCE = 0xD5
MU_LAW_SILENCE = 0xFF


def _expand_a_law(octet: int) -> int:
    value = octet ^ 0x55
    exponent, mantissa = value >> 4 & 0x07, value & 0x0F
    magnitude = (mantissa << 4) + 8
    if exponent:
        magnitude = magnitude + 0x100 << exponent - 1
    return magnitude if value & 0x80 else -magnitude


def _expand_mu_law(octet: int) -> int:
    value = ~octet & 0xFF
    exponent, mantissa = value >> 4 & 0x07, value & 0x0F
    magnitude = ((mantissa << 3) + 0x84 << exponent) - 0x84
    return -magnitude if value & 0x80 else magnitude


def _compress_a_law(sample: int) -> int:
    # Thirteen bits, of which the lowest is never told apart; negative ones in one's complement.
    magnitude = (~sample if sample < 0 else sample) >> 4
    if magnitude > 15:
        exponent = magnitude.bit_length() - 4
        magnitude = (magnitude >> exponent - 1) - 16 + (exponent << 4)
    return (magnitude | (0 if sample < 0 else 0x80)) ^ 0x55


def _compress_mu_law(sample: int) -> int:
    magnitude = min(((~sample if sample < 0 else sample) >> 2) + 33, 0x1FFF)
    segment = magnitude.bit_length() - 5
    low = magnitude >> segment & 0x0F
    return (0x80 if sample >= 0 else 0) | (8 - segment) << 4 | 0x0F - low


class Law:
    """One of G.711's two laws, both ways, as tables.

    Attributes:
        silence: the octet of no sound.
    """

    def __init__(self, expanded: list[int], compressed: list[int], silence: int) -> None:
        self.silence = silence
        words = [value & 0xFFFF for value in expanded]
        self._low = bytes(word & 0xFF for word in words)
        self._high = bytes(word >> 8 for word in words)
        # Indexed by the sample as an unsigned number.
        self._octets = bytes(compressed)

    def decode(self, octets: bytes) -> bytes:
        """Return PCM16, little-endian, two bytes for each octet."""
        pcm = bytearray(2 * len(octets))
        pcm[0::2] = octets.translate(self._low)
        pcm[1::2] = octets.translate(self._high)
        return bytes(pcm)

    def encode(self, pcm: bytes) -> bytes:
        """Return an octet for each sample of PCM16; half a sample at the end is left out."""
        octets = self._octets
        samples = memoryview(pcm)[: len(pcm) // 2 * 2].cast("H")
        return bytes([octets[sample] for sample in samples])


_SAMPLES = [*range(0x8000), *range(-0x8000, 0)]

A_LAW = Law(
    [_expand_a_law(octet) for octet in range(256)],
    [_compress_a_law(sample) for sample in _SAMPLES],
    A_LAW_SILENCE,
)
MU_LAW = Law(
    [_expand_mu_law(octet) for octet in range(256)],
    [_compress_mu_law(sample) for sample in _SAMPLES],
    MU_LAW_SILENCE,
)
