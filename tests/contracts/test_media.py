"""`contracts.media`: packets round-trip with these bytes, anything else is a `MediaError`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.media import (
    MAX_PACKET_BYTES,
    Clear,
    DownPacket,
    Finished,
    Heard,
    MediaError,
    Pause,
    Resume,
    Speech,
    SpeechEnd,
    UpPacket,
    parse_down,
    parse_up,
    serialize,
)

u32 = st.integers(min_value=0, max_value=2**32 - 1)
pcm = st.binary(max_size=200).map(lambda data: data[: len(data) // 2 * 2])
down_packets: st.SearchStrategy[DownPacket] = st.one_of(
    st.builds(Speech, u32, pcm),
    st.builds(SpeechEnd, u32),
    st.builds(Clear, u32),
    st.just(Pause()),
    st.just(Resume()),
)
up_packets: st.SearchStrategy[UpPacket] = st.one_of(
    st.builds(Heard, u32, u32, u32, pcm), st.builds(Finished, u32, u32, st.booleans())
)

DOWN_VECTORS: list[tuple[DownPacket, bytes]] = [
    (Speech(1, b"\x01\x02"), b"\x01\x01\x00\x00\x00\x01\x02"),
    (Speech(7, b""), b"\x01\x07\x00\x00\x00"),
    (SpeechEnd(0x01020304), b"\x02\x04\x03\x02\x01"),
    (Clear(2), b"\x03\x02\x00\x00\x00"),
    (Pause(), b"\x04"),
    (Resume(), b"\x05"),
]
UP_VECTORS: list[tuple[UpPacket, bytes]] = [
    (
        Heard(40, 1, 320, b"\xff\x7f"),
        b"\x10\x28\x00\x00\x00\x01\x00\x00\x00\x40\x01\x00\x00\xff\x7f",
    ),
    (Heard(80, 0, 0, b""), b"\x10\x50\x00\x00\x00" + bytes(8)),
    (Finished(1, 640, True), b"\x11\x01\x00\x00\x00\x80\x02\x00\x00\x01"),
    (Finished(1, 640, False), b"\x11\x01\x00\x00\x00\x80\x02\x00\x00\x00"),
]


@pytest.mark.parametrize(("packet", "data"), DOWN_VECTORS)
def test_down_packet_has_these_bytes(packet: DownPacket, data: bytes) -> None:
    assert serialize(packet) == data
    assert parse_down(data) == packet


@pytest.mark.parametrize(("packet", "data"), UP_VECTORS)
def test_up_packet_has_these_bytes(packet: UpPacket, data: bytes) -> None:
    assert serialize(packet) == data
    assert parse_up(data) == packet


@given(down_packets)
def test_down_packet_round_trips(packet: DownPacket) -> None:
    assert parse_down(serialize(packet)) == packet


@given(up_packets)
def test_up_packet_round_trips(packet: UpPacket) -> None:
    assert parse_up(serialize(packet)) == packet


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\x04\x00",
        b"\x05\x00",
        b"\x01\x01\x00\x00",
        b"\x01\x01\x00\x00\x00\x01",
        b"\x02\x01\x00\x00\x00\x00",
        b"\x03\x01\x00\x00\x00\x00",
        b"\x06\x01\x00\x00\x00",
        UP_VECTORS[0][1],
        UP_VECTORS[2][1],
    ],
)
def test_down_packet_is_refused(data: bytes) -> None:
    with pytest.raises(MediaError, match=f"not a down packet: .* {len(data)} bytes"):
        parse_down(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x10",
        b"\x10" + bytes(11),
        b"\x10" + bytes(13),
        b"\x11" + bytes(8),
        b"\x11" + bytes(10),
        b"\x12" + bytes(12),
        *(data for _, data in DOWN_VECTORS),
    ],
)
def test_up_packet_is_refused(data: bytes) -> None:
    with pytest.raises(MediaError, match=f"not an up packet: .* {len(data)} bytes"):
        parse_up(data)


@given(st.binary(max_size=40))
def test_any_bytes_raise_only_media_error(data: bytes) -> None:
    for parse in (parse_down, parse_up):
        try:
            packet = parse(data)
        except MediaError:
            continue
        assert serialize(packet)[0] == data[0]


@pytest.mark.parametrize("data", [data for _, data in DOWN_VECTORS + UP_VECTORS])
def test_truncated_packet_never_parses_as_itself(data: bytes) -> None:
    parse = parse_up if data[0] >= 16 else parse_down
    whole = parse(data)
    for size in range(len(data)):
        try:
            assert parse(data[:size]) != whole
        except MediaError:
            continue


def test_packet_limit_leaves_room_below_the_sdk_advice() -> None:
    second_at_8_khz = bytes(16_000)
    assert len(serialize(Speech(1, second_at_8_khz))) > MAX_PACKET_BYTES
    assert MAX_PACKET_BYTES < 15 * 1024
