"""Digits as RTP events: what senders and networks do to them, and what we send."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.wire.dtmf import (
    LOST_END_S,
    MAX_SENT,
    Digit,
    DtmfReceiver,
    EventPacket,
    digit_steps,
    steps_of,
)

Sent = tuple[float, int, bytes]


def press(
    char: str,
    timestamp: int,
    *,
    duration_ms: int = 100,
    at: float = 0.0,
    volume: int = 10,
) -> list[Sent]:
    """Return the packets of a press: updates each 20 ms, then three ends."""
    event = "0123456789*#ABCD".index(char)
    steps = duration_ms // 20
    durations = [n * 160 for n in range(1, steps + 1)] + [steps * 160] * 2
    return [
        (
            at + n * 0.02,
            timestamp & 0xFFFFFFFF,
            bytes([event, (0x80 if n >= steps - 1 else 0) | volume]) + length.to_bytes(2, "big"),
        )
        for n, length in enumerate(durations)
    ]


def receive(receiver: DtmfReceiver, packets: list[Sent]) -> list[Digit]:
    return [
        digit
        for now, timestamp, payload in packets
        for digit in receiver.receive(payload, timestamp, now)
    ]


def test_one_digit_per_press() -> None:
    receiver = DtmfReceiver()
    packets = press("5", 8000)
    assert [payload.hex() for _, _, payload in packets] == [
        "050a00a0",
        "050a0140",
        "050a01e0",
        "050a0280",
        "058a0320",
        "058a0320",
        "058a0320",
    ]
    assert receive(receiver, packets) == [Digit("5", 100)]
    assert receiver.deadline() is None
    assert receiver.expire(99.0) == []


def test_all_digits_one_after_another() -> None:
    receiver = DtmfReceiver()
    packets = [
        packet
        for n, char in enumerate("0123456789*#ABCD")
        for packet in press(char, 0xFFFFF000 + n * 2000, at=n * 0.25)
    ]
    assert receive(receiver, packets) == [Digit(char, 100) for char in "0123456789*#ABCD"]


def test_same_digit_twice_is_two_presses() -> None:
    receiver = DtmfReceiver()
    assert receive(receiver, press("7", 8000) + press("7", 9600, at=0.2)) == [Digit("7", 100)] * 2


@pytest.mark.parametrize("first", range(1, 7))
def test_lost_start(first: int) -> None:
    assert receive(DtmfReceiver(), press("3", 8000)[first:]) == [Digit("3", 100)]


@pytest.mark.parametrize("kept", [[4], [5], [6], [0, 6], [2, 5]])
def test_any_end_packet_will_do(kept: list[int]) -> None:
    packets = press("3", 8000)
    assert receive(DtmfReceiver(), [packets[n] for n in kept]) == [Digit("3", 100)]


def test_lost_end_is_ended_by_the_clock() -> None:
    receiver = DtmfReceiver()
    assert receive(receiver, press("9", 8000)[:4]) == []
    assert receiver.deadline() == pytest.approx(0.06 + LOST_END_S)
    assert receiver.expire(0.06 + LOST_END_S - 0.001) == []
    assert receiver.expire(0.06 + LOST_END_S) == [Digit("9", 80)]
    assert receive(receiver, press("9", 8000)[4:]) == []


def test_lost_end_is_ended_by_the_next_press() -> None:
    receiver = DtmfReceiver()
    packets = press("9", 8000)[:4] + press("1", 9600, at=0.2)
    assert receive(receiver, packets) == [Digit("9", 80), Digit("1", 100)]


def test_lost_end_of_the_same_digit() -> None:
    receiver = DtmfReceiver()
    packets = press("9", 8000)[:4] + press("9", 9600, at=0.2)
    assert receive(receiver, packets) == [Digit("9", 80), Digit("9", 100)]


def test_overlapping_presses_are_two() -> None:
    receiver = DtmfReceiver()
    one, two = press("1", 8000), press("2", 8480)
    packets = [*one[:3], two[0], one[3], two[1], *one[4:], *two[2:]]
    assert receive(receiver, packets) == [Digit("1", 60), Digit("2", 100)]


def test_packet_of_an_earlier_press_that_is_unknown_is_ignored() -> None:
    receiver = DtmfReceiver()
    one, two = press("1", 8000), press("2", 9600)
    assert receive(receiver, [two[0], *one, *two[1:]]) == [Digit("2", 100)]


def test_order_and_copies_do_not_matter() -> None:
    for seed in range(50):
        packets = press("6", 8000) * 2
        random.Random(seed).shuffle(packets)
        digits = receive(DtmfReceiver(), packets)
        assert [digit.char for digit in digits] == ["6"]


def test_long_press_goes_on_in_another_segment() -> None:
    # RFC 4733 section 2.5.1.3: the first segment ends at the field's largest value.
    receiver = DtmfReceiver()
    packets: list[Sent] = [
        (0.0, 1000, bytes.fromhex("080a8000")),
        (8.0, 1000, bytes.fromhex("080affff")),
        (8.1, 1000 + 0xFFFF, bytes.fromhex("080a0320")),
        (8.2, 1000 + 0xFFFF, bytes.fromhex("088a0640")),
        (8.2, 1000 + 0xFFFF, bytes.fromhex("088a0640")),
        (8.3, 1000, bytes.fromhex("080affff")),
    ]
    assert receive(receiver, packets) == [Digit("8", (0xFFFF + 1600) // 8)]


def test_sender_that_renews_the_timestamp_with_every_packet_is_understood() -> None:
    receiver = DtmfReceiver()
    packets: list[Sent] = [
        (n * 0.02, 8000 + n * 160, bytes([4, 10]) + ((n + 1) * 160).to_bytes(2, "big"))
        for n in range(5)
    ]
    packets.append((0.1, 8800, bytes.fromhex("048a03c0")))
    assert [digit.char for digit in receive(receiver, packets)] == ["4"]


@pytest.mark.parametrize("payload", ["", "05", "050a00", "108a0320", "1f0a0320", "ff8a0320"])
def test_flash_other_events_and_stumps_are_ignored(payload: str) -> None:
    receiver = DtmfReceiver()
    assert receiver.receive(bytes.fromhex(payload), 8000, 0.0) == []
    assert receiver.ignored == 1
    assert receiver.deadline() is None


def test_flood_is_thinned_to_what_a_finger_can_do() -> None:
    receiver = DtmfReceiver()
    ends: list[Sent] = [(0.0, 8000 + n, bytes.fromhex("058a0320")) for n in range(0, 8000, 10)]
    assert len(receive(receiver, ends)) <= 25
    assert receiver.ignored > 700


def test_begun_press_is_told_though_a_flood_follows() -> None:
    receiver = DtmfReceiver()
    receive(receiver, press("1", 8000)[:1])
    assert receiver.receive(bytes.fromhex("028a0320"), 8170, 0.01) == [Digit("1", 20)]


@given(
    st.lists(
        st.tuples(st.integers(0, 0xFFFFFFFF) | st.integers(0, 3000), st.binary(max_size=6)),
        max_size=60,
    )
)
def test_any_packets_only_ever_make_digits(packets: list[tuple[int, bytes]]) -> None:
    receiver = DtmfReceiver()
    for n, (timestamp, payload) in enumerate(packets):
        for digit in receiver.receive(payload, timestamp, n * 0.02):
            assert digit.char in "0123456789*#ABCD"
            assert digit.duration_ms >= 0


def sent(digits: str, **options: int) -> list[EventPacket | None]:
    return list(digit_steps(digits, **options))


def test_digit_is_sent_in_steps_and_ended_three_times() -> None:
    steps = sent("5", duration_ms=100, gap_ms=80)
    assert [step and (step.payload.hex(), step.begins, step.samples) for step in steps] == [
        ("050a00a0", True, 160),
        ("050a0140", False, 160),
        ("050a01e0", False, 160),
        ("050a0280", False, 160),
        ("058a0320", False, 160),
        ("058a0320", False, 160),
        ("058a0320", False, 160),
        None,
        None,
    ]
    assert steps_of("5", duration_ms=100, gap_ms=80) == 9


def test_comma_is_a_pause_of_half_a_second() -> None:
    assert sent(",") == [None] * 25
    steps = sent("1,d", duration_ms=250, gap_ms=50)
    assert len(steps) == 15 + 25 + 15
    assert steps[-2:] != [None, None]


def test_what_we_send_we_understand() -> None:
    receiver = DtmfReceiver()
    digits: list[Digit] = []
    timestamp = begun = 0
    for n, step in enumerate(digit_steps("19*#a0")):
        if step is not None:
            begun = timestamp if step.begins else begun
            digits += receiver.receive(step.payload, begun, n * 0.02)
        timestamp += 160
    assert digits == [Digit(char, 160) for char in "19*#A0"]


@pytest.mark.parametrize(
    ("digits", "options"),
    [
        ("", {}),
        ("1" * (MAX_SENT + 1), {}),
        ("x", {}),
        ("1 2", {}),
        ("\N{ARABIC-INDIC DIGIT ONE}", {}),
        ("1", {"duration_ms": 99}),
        ("1", {"duration_ms": 251}),
        ("1", {"gap_ms": 49}),
    ],
)
def test_what_cannot_be_sent_is_refused_at_once(digits: str, options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"digit|commas"):
        digit_steps(digits, **options)
