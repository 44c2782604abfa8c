"""G.711 against the tables of the recommendation."""

from __future__ import annotations

import struct

import pytest

from bridges.audio.g711 import A_LAW, MU_LAW, Law

EVERY_OCTET = bytes(range(256))
EVERY_SAMPLE = struct.pack("<65536h", *range(-32768, 32768))


def levels(segments: list[tuple[int, int, int]]) -> list[int]:
    """Spell a table out: values from a first one, at a distance, so many of them."""
    return [first + step * n for first, step, count in segments for n in range(count)]


# ITU-T G.711 table 1a, column 8 (in units of 16 bits: the table's values times 8), from quiet to
# loud; each segment begins half a step above a decision value.
A_LAW_LEVELS = levels(
    [(8, 16, 32), (528, 32, 16), (1056, 64, 16), (2112, 128, 16), (4224, 256, 16),
     (8448, 512, 16), (16896, 1024, 16)]
)  # fmt: skip
# Table 2a, column 8 (times 4).
MU_LAW_LEVELS = levels(
    [(0, 8, 16), (132, 16, 16), (396, 32, 16), (924, 64, 16), (1980, 128, 16),
     (4092, 256, 16), (8316, 512, 16), (16764, 1024, 16)]
)  # fmt: skip


def decoded(law: Law) -> list[int]:
    return list(struct.unpack("<256h", law.decode(EVERY_OCTET)))


def test_a_law_decodes_to_the_values_of_table_1() -> None:
    # Character signals have their even bits inverted; the first bit is the sign, 1 is positive.
    values = decoded(A_LAW)
    assert [values[(0x80 | n) ^ 0x55] for n in range(128)] == A_LAW_LEVELS
    assert [values[n ^ 0x55] for n in range(128)] == [-level for level in A_LAW_LEVELS]


def test_mu_law_decodes_to_the_values_of_table_2() -> None:
    values = decoded(MU_LAW)
    assert [values[0xFF - n] for n in range(128)] == MU_LAW_LEVELS
    assert [values[0x7F - n] for n in range(128)] == [-level for level in MU_LAW_LEVELS]


@pytest.mark.parametrize(("law", "levels"), [(A_LAW, A_LAW_LEVELS), (MU_LAW, MU_LAW_LEVELS)])
def test_every_sample_becomes_the_nearest_level(law: Law, levels: list[int]) -> None:
    there_and_back = struct.unpack("<65536h", law.decode(law.encode(EVERY_SAMPLE)))
    halves = [(after - before) / 2 for before, after in zip(levels, [*levels[1:], 0], strict=True)]
    half_step = dict(zip(levels, [max(8.0, half) for half in halves], strict=True))
    half_step[levels[-1]] = 1024
    for sample, value in zip(range(-32768, 32768), there_and_back, strict=True):
        assert abs(sample - value) <= half_step[abs(value)] + 1
        assert sample * value >= 0 or abs(sample) <= 8


@pytest.mark.parametrize(("law", "twins"), [(A_LAW, {}), (MU_LAW, {0x7F: 0xFF})])
def test_octets_survive_the_way_there_and_back(law: Law, twins: dict[int, int]) -> None:
    # µ-law has two zeros.
    wanted = bytes(twins.get(octet, octet) for octet in EVERY_OCTET)
    assert law.encode(law.decode(EVERY_OCTET)) == wanted


@pytest.mark.parametrize(
    ("law", "sample", "octet"),
    [
        (A_LAW, 0, 0xD5),
        (A_LAW, -1, 0x55),
        (A_LAW, 32767, 0xAA),
        (A_LAW, -32768, 0x2A),
        (A_LAW, 1000, 0xFA),
        (MU_LAW, 0, 0xFF),
        (MU_LAW, 32767, 0x80),
        (MU_LAW, -32768, 0x00),
        (MU_LAW, 1000, 0xCE),
        (MU_LAW, -1000, 0x4E),
    ],
)
def test_well_known_octets(law: Law, sample: int, octet: int) -> None:
    assert law.encode(struct.pack("<h", sample)) == bytes([octet])


@pytest.mark.parametrize("law", [A_LAW, MU_LAW])
def test_silence_is_the_octet_of_zero(law: Law) -> None:
    assert law.encode(bytes(320)) == bytes([law.silence]) * 160
    assert law.encode(b"\0") == law.encode(b"") == law.decode(b"") == b""
