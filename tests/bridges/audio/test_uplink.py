"""Packing caller audio."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bridges.audio.uplink import (
    HANG_OVER_MS,
    LOUD_PEAK,
    MAX_PCM_BYTES,
    ONSET_MS,
    PACKET_MS,
    QUIET_MS,
    SILENT_PACKET_MS,
    STEADY_PACKET_MS,
    Uplink,
)
from contracts.media import MAX_PACKET_BYTES, Heard, serialize

FRAME = bytes(320)
FRAME_MS = 20
VOICE = (LOUD_PEAK + 1).to_bytes(2, "little") * 160


def test_two_frames_make_a_packet_with_clock_and_position() -> None:
    uplink = Uplink(answered_at=100.0)

    assert uplink.add(b"\x01" * 320, 100.5, 0, 0) == []
    assert uplink.add(b"\x02" * 320, 100.52, 3, 160) == [
        Heard(520, 3, 160, b"\x01" * 320 + b"\x02" * 320)
    ]
    assert uplink.heard_bytes == 640


def test_silence_waits_for_company() -> None:
    uplink = Uplink(answered_at=0.0)
    _feed(uplink, [VOICE])

    sizes = _feed(uplink, [FRAME] * ((HANG_OVER_MS + 10 * SILENT_PACKET_MS) // FRAME_MS))

    assert set(sizes[: HANG_OVER_MS // PACKET_MS]) == {PACKET_MS}
    assert set(sizes[-5:]) == {SILENT_PACKET_MS}


def test_voice_that_begins_waits_for_nothing() -> None:
    uplink = Uplink(answered_at=0.0)
    _feed(uplink, [FRAME] * (2 * HANG_OVER_MS // FRAME_MS))

    sizes = _feed(uplink, [VOICE] * (1 + ONSET_MS // FRAME_MS))

    assert sizes[0] <= SILENT_PACKET_MS
    assert set(sizes[1:]) == {PACKET_MS}


def test_voice_that_goes_on_is_not_urgent() -> None:
    uplink = Uplink(answered_at=0.0)
    _feed(uplink, [VOICE] * (2 * ONSET_MS // FRAME_MS))

    assert set(_feed(uplink, [VOICE] * 16)) == {STEADY_PACKET_MS}


def test_voice_that_falls_silent_is_urgent_again() -> None:
    uplink = Uplink(answered_at=0.0)
    _feed(uplink, [VOICE] * (2 * ONSET_MS // FRAME_MS))

    sizes = _feed(uplink, [FRAME] * 8)

    assert sizes[0] <= STEADY_PACKET_MS
    assert set(sizes[1:]) == {PACKET_MS}


def test_negative_peak_is_as_loud_as_a_positive_one() -> None:
    uplink = Uplink(answered_at=0.0)
    _feed(uplink, [FRAME] * (2 * HANG_OVER_MS // FRAME_MS))

    low = (-LOUD_PEAK - 1).to_bytes(2, "little", signed=True) * 160
    assert uplink.add(low, 2.0, 0, 0) != []


def _feed(uplink: Uplink, frames: list[bytes]) -> list[int]:
    """Return how many ms each packet held."""
    began = uplink.heard_bytes // 16
    packets = [
        packet
        for number, frame in enumerate(frames, 1)
        for packet in uplink.add(frame, (began + number * FRAME_MS) / 1000, 0, 0)
    ]
    return [len(packet.pcm) // 16 for packet in packets]


def test_large_chunk_is_split_and_each_piece_keeps_its_own_time() -> None:
    uplink = Uplink(answered_at=0.0)
    pcm = bytes(range(256)) * 128

    packets = uplink.add(pcm, 5.0, 1, 80)

    assert b"".join(packet.pcm for packet in packets) == pcm
    assert max(len(serialize(packet)) for packet in packets) <= MAX_PACKET_BYTES
    assert packets[-1].at_ms == 5000
    for before, after in pairwise(packets):
        assert after.at_ms - before.at_ms == pytest.approx(len(after.pcm) / 16, abs=1)
    assert len(packets) == -(-len(pcm) // MAX_PCM_BYTES)


def test_position_travels_alone_while_the_caller_is_quiet_on_the_wire() -> None:
    uplink = Uplink(answered_at=0.0)

    assert uplink.tick(QUIET_MS / 1000 - 0.001, 0, 0) == []
    assert uplink.tick(QUIET_MS / 1000, 0, 0) == [Heard(QUIET_MS, 0, 0, b"")]
    assert uplink.tick(QUIET_MS / 1000 + 0.02, 0, 0) == []


def test_line_that_begins_is_told_at_once() -> None:
    uplink = Uplink(answered_at=0.0)
    uplink.add(FRAME, 0.02, 0, 0)

    assert uplink.tick(0.03, 1, 160) == [Heard(30, 1, 160, FRAME)]
    assert uplink.tick(0.05, 1, 320) == []


def test_tick_does_not_tear_a_pair_of_frames_apart() -> None:
    uplink = Uplink(answered_at=0.0)
    uplink.add(VOICE, 0.02, 0, 0)

    assert uplink.tick(PACKET_MS / 1000, 0, 0) == []
    assert len(uplink.add(FRAME, 0.041, 0, 0)) == 1


def test_flush_sends_the_last_words() -> None:
    uplink = Uplink(answered_at=0.0)
    uplink.add(FRAME, 1.0, 0, 0)

    assert uplink.flush(1.01, 0, 0) == [Heard(1010, 0, 0, FRAME)]
    assert uplink.flush(1.02, 0, 0) == []


def test_flood_is_dropped_once_it_is_far_ahead_of_time() -> None:
    uplink = Uplink(answered_at=0.0)
    second = bytes(16_000)

    heard = sum(bool(uplink.add(second, 1.0, 0, 0)) for _ in range(20))

    assert (heard, uplink.heard_bytes, uplink.dropped_bytes) == (12, 12 * 16_000, 8 * 16_000)
    assert uplink.add(second, 3.0, 0, 0)
