"""RTP packets as literal bytes, sequence numbers that lie, and a sender's numbers."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.wire.rtp import (
    MAX_DROPOUT,
    MAX_MISORDER,
    MAX_PACKET_BYTES,
    Arrival,
    Defect,
    RtpPacket,
    RtpSender,
    SequenceTracker,
)

VECTORS = Path(__file__).parents[2] / "vectors/rtp"


def cases(name: str) -> list[Any]:
    vectors = json.loads((VECTORS / f"{name}.json").read_text())
    return [pytest.param(vector, id=name) for name, vector in vectors.items()]


@pytest.mark.parametrize("vector", cases("packets"))
def test_packets_are_read(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    packet = RtpPacket(
        vector["payload_type"],
        vector["sequence"],
        vector["timestamp"],
        vector["ssrc"],
        bytes.fromhex(vector["payload"]),
        vector["marker"],
    )
    assert RtpPacket.parse(data) == packet
    assert RtpPacket.parse(packet.serialize()) == packet


@pytest.mark.parametrize("vector", cases("packets")[:2])
def test_plain_packets_are_written_as_they_were_read(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    packet = RtpPacket.parse(data)
    assert isinstance(packet, RtpPacket)
    assert packet.serialize() == data


@pytest.mark.parametrize("vector", cases("defects"))
def test_defects_are_named(vector: dict[str, Any]) -> None:
    assert RtpPacket.parse(bytes.fromhex(vector["hex"])) is Defect(vector["defect"])


def test_size_is_limited() -> None:
    header = bytes.fromhex("800800010000000000000001")
    longest = header + bytes(MAX_PACKET_BYTES - len(header))
    assert isinstance(RtpPacket.parse(longest), RtpPacket)
    assert RtpPacket.parse(longest + b"\0") is Defect.TOO_LONG


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda tail: b"\xb3\x08" + tail))
def test_any_datagram_is_a_packet_or_a_defect(data: bytes) -> None:
    packet = RtpPacket.parse(data)
    if isinstance(packet, RtpPacket):
        assert len(packet.payload) <= len(data) - 12
        assert RtpPacket.parse(packet.serialize()) == packet


def arrive(tracker: SequenceTracker, *sequences: int) -> list[Arrival]:
    return [tracker.arrive(sequence) for sequence in sequences]


def test_sequence_rolls_over() -> None:
    tracker = SequenceTracker()
    numbers = [(65_500 + n) & 0xFFFF for n in range(200_000)]
    assert set(arrive(tracker, *numbers)) == {Arrival.IN_ORDER}
    assert (tracker.received, tracker.lost) == (200_000, 0)


def test_what_is_lost_is_counted_and_uncounted_when_it_comes_late() -> None:
    tracker = SequenceTracker()
    assert tracker.lost == 0
    arrive(tracker, 65_534, 65_535, 2, 3)
    assert tracker.lost == 2
    assert arrive(tracker, 1, 0) == [Arrival.REORDERED] * 2
    assert (tracker.received, tracker.lost) == (6, 0)


def test_packets_from_before_the_first_one_are_reordered_too() -> None:
    tracker = SequenceTracker()
    assert arrive(tracker, 10, 9, 8) == [
        Arrival.IN_ORDER,
        Arrival.REORDERED,
        Arrival.REORDERED,
    ]
    assert tracker.lost == 0


def test_doubles_are_told_however_late() -> None:
    tracker = SequenceTracker()
    arrive(tracker, *range(200))
    doubles = [199, 198, 200 - MAX_MISORDER]
    assert arrive(tracker, *doubles) == [Arrival.DUPLICATE] * 3
    assert (tracker.received, tracker.lost) == (200, 0)


@pytest.mark.parametrize("jump", [MAX_DROPOUT, 30_000, -MAX_MISORDER, -5_000])
def test_jump_needs_a_second_packet(jump: int) -> None:
    tracker = SequenceTracker()
    arrive(tracker, *range(40_000, 40_010))
    tracker.arrive(40_012)
    there = (40_012 + jump) & 0xFFFF
    assert tracker.arrive(there) is Arrival.JUMPED
    assert arrive(tracker, 40_013) == [Arrival.IN_ORDER]
    assert arrive(tracker, there + 1, there + 2) == [Arrival.RESTARTED, Arrival.IN_ORDER]
    assert (tracker.received, tracker.lost) == (14, 2)


def test_dropout_below_the_limit_is_loss() -> None:
    tracker = SequenceTracker()
    assert arrive(tracker, 5, 5 + MAX_DROPOUT - 1) == [Arrival.IN_ORDER] * 2
    assert tracker.lost == MAX_DROPOUT - 2


def test_another_source_is_counted_on() -> None:
    tracker = SequenceTracker()
    arrive(tracker, 1, 3)
    tracker.begin()
    assert tracker.lost == 1
    assert arrive(tracker, 40_000, 40_002) == [Arrival.IN_ORDER] * 2
    assert (tracker.received, tracker.lost) == (4, 2)


def test_jitter_is_that_of_rfc_3550() -> None:
    tracker = SequenceTracker()
    tracker.observe(0xFFFF_FFF0, 1.0)
    tracker.observe(0x0000_0090, 1.02)  # 160 later, as it should be
    assert tracker.jitter_s == pytest.approx(0.0)
    tracker.observe(0x0000_0130, 1.056)  # 16 ms late
    assert tracker.jitter_s == pytest.approx(0.001)
    tracker.observe(0x0000_01D0, 1.06)  # and back
    assert tracker.jitter_s == pytest.approx(0.001 + 0.015 / 16)


def sender(seed: int = 1) -> RtpSender:
    return RtpSender(random.Random(seed))


def test_sender_begins_at_random_and_counts_on() -> None:
    assert len({sender(seed).ssrc for seed in range(20)}) == 20
    ours = sender()
    first, second = (ours.send(8, b"\xd5" * 160, 160, now) for now in (5.0, 5.02))
    assert first.sequence < 0x8000
    assert (first.marker, second.marker) == (True, False)
    assert second.sequence == first.sequence + 1
    assert (second.timestamp - first.timestamp) & 0xFFFFFFFF == 160
    assert first.ssrc == second.ssrc == ours.ssrc
    assert ours.packets == 2


def test_numbers_roll_over() -> None:
    ours = sender()
    packets = [ours.send(8, b"", 160, 0.0) for _ in range(70_000)]
    assert all(0 <= packet.sequence < 2**16 and packet.timestamp < 2**32 for packet in packets)
    assert packets[-1].sequence == (packets[0].sequence + 69_999) & 0xFFFF
    high = RtpSender(random.Random(3))
    stamps = [high.send(8, b"", 2**31, 0.0).timestamp for _ in range(3)]
    assert stamps[2] == stamps[0]


def test_timestamps_run_with_the_audio_and_through_pauses_with_the_clock() -> None:
    ours = sender()
    assert ours.ends_at is None
    times = [10.0, 10.019, 10.043, 10.06, 11.5, 11.52]
    packets = [ours.send(8, b"", 160, now) for now in times]
    since = [(packet.timestamp - packets[0].timestamp) & 0xFFFFFFFF for packet in packets]
    assert since == [0, 160, 320, 480, 12_000, 12_160]
    assert [packet.marker for packet in packets] == [True, False, False, False, True, False]
    assert ours.ends_at == pytest.approx(11.54)


def test_event_keeps_its_start_and_audio_goes_on_after_it() -> None:
    ours = sender()
    audio = ours.send(8, b"", 160, 1.0)
    begin = ours.send_event(101, b"a", 1.02, begins=True, samples=160)
    update = ours.send_event(101, b"b", 1.04, begins=False, samples=160)
    ours.skip(160, 1.06)
    after = ours.send(8, b"", 160, 1.08)
    assert [packet.marker for packet in (audio, begin, update, after)] == [True, True, False, False]
    assert [
        (packet.timestamp - audio.timestamp) & 0xFFFFFFFF for packet in (begin, update, after)
    ] == [160, 160, 640]
    assert after.sequence == audio.sequence + 3
