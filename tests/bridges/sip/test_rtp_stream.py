"""A call's media, two streams joined back to back in virtual time: no socket, no clock."""

from __future__ import annotations

import array
import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.audio.g711 import A_LAW, MU_LAW
from bridges.sip.rtp_stream import FRAME_BYTES, CallerAudio, MediaStarted, RtpStream
from bridges.wire.dtmf import Digit
from bridges.wire.latch import Address, Trust
from bridges.wire.media_plan import Codec, SrtpKeys
from bridges.wire.sdp import Direction
from tests.bridges.sip.media_line import (
    HERE,
    KEYS,
    PLAN,
    ROGUE,
    THERE,
    TONE,
    frame,
    line,
    packet,
    sent_by,
    stream,
)


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("ptime_ms", [10, 20])
@pytest.mark.parametrize("srtp", [None, SrtpKeys(*KEYS)])
def test_what_one_says_the_other_hears(codec: Codec, ptime_ms: int, srtp: SrtpKeys | None) -> None:
    plan = replace(
        PLAN, codec=codec, payload_type=codec.static_payload_type, ptime_ms=ptime_ms, srtp=srtp
    )
    joined = line(plan)
    joined.run(2.0, frame)
    law = A_LAW if codec is Codec.PCMA else MU_LAW
    said = law.decode(law.encode(TONE))
    heard = joined.pcm("theirs")
    assert said[: 90 * FRAME_BYTES] in heard
    # And from its start. What is heard at a moment is the 20 ms before it, so this is 20 to 45 ms
    # after it was said.
    assert heard.index(said[:FRAME_BYTES]) / 16 <= 25
    assert joined.heard["theirs"][0] in (MediaStarted(), CallerAudio(bytes(FRAME_BYTES)))
    assert joined.heard["theirs"].count(MediaStarted()) == 1
    stats = joined.theirs.stats()
    assert (stats["lost_packets"], stats["dropped_packets"], stats["concealed_ms"]) == (0, {}, 0)


def test_caller_is_heard_by_the_clock_whether_packets_come_or_not() -> None:
    ours = stream()
    events = [event for step in range(200) for event in ours.tick(step * 0.01)]
    pcm = b"".join(event.pcm for event in events if isinstance(event, CallerAudio))
    assert len(events) == 99
    assert pcm == bytes(99 * FRAME_BYTES)
    assert ours.received_first_at is None


def test_silence_is_sent_while_nothing_is_said_and_timestamps_run_on() -> None:
    ours = stream()
    for step in range(101):
        ours.tick(step * 0.01)
    quiet = sent_by(ours)
    assert len(quiet) == 50
    assert {each.payload for each in quiet} == {b"\xd5" * 160}
    assert [each.marker for each in quiet] == [True] + [False] * 49
    assert {(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in pairwise(quiet)} == {160}
    assert ours.send(frame(0), 1.01)
    ours.tick(1.02)
    spoken = sent_by(ours)
    assert [each.payload for each in spoken] == [A_LAW.encode(frame(0))]
    assert spoken[0].timestamp == (quiet[-1].timestamp + 160) & 0xFFFFFFFF


@pytest.mark.parametrize("phase_s", [0.0, 0.002, 0.004, 0.0049, 0.011, 0.019])
def test_late_frames_get_no_silence_between_them(phase_s: float) -> None:
    # The playback clock has a phase of its own, and its timers are up to 10 ms late.
    ours, rng = stream(), random.Random(4)
    times = {0.2 + phase_s + n * 0.02 + rng.uniform(0, 0.01): n for n in range(50)}
    for now in sorted([*times, *(step * 0.001 for step in range(1500))]):
        if now in times:
            ours.send(frame(times[now] + 1), now)
        ours.tick(now)
    spoken = [each.payload != b"\xd5" * 160 for each in sent_by(ours)]
    first = spoken.index(True)
    assert spoken[first : first + 50] == [True] * 50
    assert sum(spoken) == 50


@pytest.mark.parametrize("phase_s", [0.001, 0.004, 0.006, 0.011, 0.019])
def test_packets_leave_evenly_whenever_speech_begins_and_ends(phase_s: float) -> None:
    ours = stream()
    begins = {round(0.2 + phase_s + n * 0.02, 3) for n in range(10)}
    left_at = []
    for step in range(600):
        now = round(step * 0.001, 3)
        if now in begins:
            ours.send(frame(1), now)
        ours.tick(now)
        left_at += [now] * len(sent_by(ours))
    gaps_ms = [1000 * (after - before) for before, after in pairwise(left_at)]
    # Only where speech gives way to silence, which waits to see whether it is merely late.
    assert sorted(gaps_ms)[-2] <= 26
    assert min(gaps_ms) >= 9
    assert sum(gap < 14 for gap in gaps_ms) <= 1


def test_frame_that_waits_is_dropped_by_a_hold() -> None:
    ours = stream()
    ours.tick(0.1)
    sent_by(ours)
    assert ours.send(frame(1), 0.101)
    ours.apply(replace(PLAN, direction=Direction.INACTIVE))
    ours.apply(PLAN)
    ours.tick(0.15)
    assert all(each.payload == b"\xd5" * 160 for each in sent_by(ours))


def test_stall_of_ours_sends_no_burst() -> None:
    ours = stream()
    ours.tick(0.01)
    ours.tick(5.0)
    assert len(sent_by(ours)) == 2


def test_nothing_moves_before_a_plan_and_a_start() -> None:
    planless = stream(None)
    planless.tick(1.0)
    assert planless.receive(packet(1), THERE, 0.0) == []
    assert planless.send_digits("1", duration_ms=100, gap_ms=80) == 0.0
    assert planless.stats()["dropped_packets"] == {"payload_type": 1}
    unstarted = stream(started=False)
    assert unstarted.deadline() is None
    assert unstarted.tick(1.0) == []
    assert not unstarted.send(frame(0), 1.0)
    assert unstarted.receive(packet(1), THERE, 0.5) == [MediaStarted()]
    assert unstarted.receive(packet(2, b"\x28", payload_type=13), THERE, 0.52) == []
    assert unstarted.receive(packet(3, bytes.fromhex("058a0320"), payload_type=101), THERE, 0.54)
    assert unstarted.receive(packet(4, ssrc=8), THERE, 2.0) == []
    assert (unstarted.received_first_at, unstarted.received_last_at) == (0.5, 2.0)
    assert "concealed_ms" not in unstarted.stats()
    for ours in (planless, unstarted):
        assert ours.outgoing() == []


@pytest.mark.parametrize("direction", [Direction.RECVONLY, Direction.INACTIVE])
def test_on_hold_nothing_is_sent_and_after_it_a_talkspurt_begins(direction: Direction) -> None:
    ours = stream()
    ours.tick(0.01)
    ours.apply(replace(PLAN, direction=direction))
    assert not ours.send(frame(0), 0.5)
    ours.tick(1.001)
    before = sent_by(ours)
    assert len(before) == 1
    assert ours.stats()["unsent_frames"] == 1
    assert ours.deadline() == pytest.approx(1.02)
    ours.apply(PLAN)
    assert ours.send(frame(0), 3.0)
    (after,) = sent_by(ours)
    assert after.marker
    assert (after.timestamp - before[0].timestamp) & 0xFFFFFFFF == pytest.approx(24_000, abs=200)


def test_music_on_hold_is_heard() -> None:
    ours = stream(replace(PLAN, direction=Direction.RECVONLY))
    for n in range(10):
        ours.receive(packet(n, A_LAW.encode(frame(n))), THERE, n * 0.02)
        ours.tick(n * 0.02)
    assert ours.stats()["received_packets"] == 10


def test_digits_are_sent_in_place_of_audio_and_received_once() -> None:
    joined = line()
    joined.run(0.5, frame)
    assert joined.ours.send_digits("12#", duration_ms=160, gap_ms=80) == pytest.approx(0.72)
    joined.run(1.5, frame)
    assert joined.digits("theirs") == [Digit("1", 160), Digit("2", 160), Digit("#", 160)]
    assert joined.ours.stats()["unsent_frames"] == pytest.approx(36, abs=2)
    # After them audio goes on, at the right place in time.
    assert joined.pcm("theirs")[-FRAME_BYTES:] != bytes(FRAME_BYTES)
    assert joined.theirs.stats()["resyncs"] == 0
    assert joined.theirs.stats()["lost_packets"] == 0


def test_digit_whose_end_is_lost_ends_by_the_clock() -> None:
    ours = stream()
    ours.receive(packet(1, bytes.fromhex("050a0140"), payload_type=101), THERE, 0.1)
    assert ours.deadline() is not None
    events = [event for step in range(100) for event in ours.tick(step * 0.01)]
    assert Digit("5", 40) in events


def test_digits_are_not_sent_where_none_are_taken() -> None:
    ours = stream(replace(PLAN, dtmf_payload_type=None))
    assert ours.send_digits("1", duration_ms=100, gap_ms=80) == 0.0
    with pytest.raises(ValueError, match="commas"):
        ours.send_digits("x", duration_ms=100, gap_ms=80)
    # A re-INVITE takes them away in the middle.
    ours = stream()
    ours.send_digits("123", duration_ms=100, gap_ms=80)
    ours.tick(0.05)
    ours.tick(0.07)
    ours.apply(replace(PLAN, dtmf_payload_type=None))
    for step in range(5, 20):
        ours.tick(step * 0.02)
    kinds = [each.payload_type for each in sent_by(ours)]
    assert kinds[:2] == [101, 101]
    assert set(kinds[3:]) == {8}


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_loss_is_concealed_and_counted(share: float) -> None:
    rng = random.Random(8)
    dropped = 0

    def lossy(data: bytes) -> bytes | None:
        nonlocal dropped
        if rng.random() < share:
            dropped += 1
            return None
        return data

    joined = line(network=lossy)
    joined.run(10.0, frame)
    stats = joined.theirs.stats()
    assert stats["lost_packets"] == pytest.approx(dropped, abs=2)
    assert stats["concealed_ms"] == pytest.approx(dropped * 20, rel=0.2, abs=100)
    samples = array.array("h", joined.pcm("theirs"))
    assert max(abs(b - a) for a, b in pairwise(samples)) < 6000
    assert len(samples) / 8000 == pytest.approx(9.98, abs=0.03)


def test_payload_type_may_change_in_mid_call() -> None:
    ours = stream()
    loud = A_LAW.decode(b"\x2a" * 160)
    for n in range(20):
        law, number = (A_LAW, 8) if n < 10 else (MU_LAW, 0)
        ours.receive(packet(n, law.encode(loud), payload_type=number), THERE, n * 0.02)
    (audio,) = ours.tick(0.4)
    assert isinstance(audio, CallerAudio)
    assert min(array.array("h", audio.pcm[-9 * FRAME_BYTES :])) < -31_000


def test_comfort_noise_is_a_pause_with_a_level() -> None:
    ours = stream()
    events = []
    for n in range(10):
        ours.receive(packet(n, A_LAW.encode(frame(n))), THERE, n * 0.02)
        events += ours.tick(n * 0.02)
    ours.receive(packet(10, b"\x32", payload_type=13), THERE, 0.2)
    for n in range(10, 60):
        events += ours.tick(n * 0.02)
    pcm = b"".join(event.pcm for event in events if isinstance(event, CallerAudio))
    noise = array.array("h", pcm[-20 * FRAME_BYTES :])
    assert 90 < (sum(value * value for value in noise) / len(noise)) ** 0.5 < 115  # -50 dBov
    assert ours.stats()["concealed_ms"] == 0


@pytest.mark.parametrize(
    ("data", "source", "why"),
    [
        (b"", THERE, "too_short"),
        (bytes(2000), THERE, "too_long"),
        (bytes(40), THERE, "version"),
        (b"\x80\xc8" + bytes(26), THERE, "rtcp"),
        (packet(5, payload_type=96), THERE, "payload_type"),
        (packet(5), ROGUE, "source"),
        (packet(5, ssrc=8), THERE, "source"),
        (packet(2), THERE, "duplicate"),
        (packet(20_000), THERE, "jumped"),
    ],
)
def test_bad_packets_are_dropped_and_counted_by_cause(
    data: bytes, source: Address, why: str
) -> None:
    ours = stream()
    for n in range(5):
        ours.receive(packet(n), THERE, n * 0.02)
    assert ours.receive(data, source, 0.1) == []
    assert ours.stats()["dropped_packets"] == {why: 1}
    assert ours.stats()["received_packets"] == 5
    assert ours.receive(packet(5), THERE, 0.1) == []
    assert ours.stats()["received_packets"] == 6


def test_forged_and_replayed_packets_are_dropped_and_authentic_ones_move_the_line() -> None:
    plan = replace(PLAN, srtp=SrtpKeys(KEYS[0], KEYS[1]))
    ours = stream(plan)
    theirs = stream(replace(plan, srtp=SrtpKeys(KEYS[1], KEYS[0])), seed=2)
    theirs.tick(0.005)
    ((first, _),) = theirs.outgoing()
    assert ours.receive(packet(1), THERE, 0.0) == []
    assert ours.receive(first, ROGUE, 0.01) == [MediaStarted()]
    assert ours.receive(first, THERE, 0.02) == []
    assert ours.stats()["dropped_packets"] == {"srtp_forged": 1, "srtp_replayed": 1}
    ours.tick(0.02)
    assert [target for _, target in ours.outgoing()] == [ROGUE]


def test_keys_change_with_the_plan_and_stay_with_it() -> None:
    joined = line(replace(PLAN, srtp=SrtpKeys(*KEYS)))
    joined.run(1.0, frame)
    renewed = replace(PLAN, srtp=SrtpKeys(KEYS[0], replace(KEYS[1], key=b"9" * 30)))
    back = SrtpKeys(replace(KEYS[1], key=b"9" * 30), KEYS[0])
    joined.ours.apply(renewed)
    joined.theirs.apply(replace(PLAN, remote=HERE, srtp=back))
    joined.run(1.0, frame)
    joined.ours.apply(replace(PLAN, srtp=SrtpKeys(replace(KEYS[0], key=b"8" * 30), KEYS[1])))
    joined.theirs.apply(
        replace(PLAN, remote=HERE, srtp=SrtpKeys(KEYS[1], replace(KEYS[0], key=b"8" * 30)))
    )
    joined.run(1.0, frame)
    joined.ours.apply(PLAN)
    joined.theirs.apply(replace(PLAN, remote=HERE))
    joined.run(1.0, frame)
    for each in (joined.ours, joined.theirs):
        assert each.stats()["dropped_packets"] == {}
        assert each.stats()["received_packets"] >= 195


def test_another_source_takes_over_after_a_silence() -> None:
    ours = stream()
    for n in range(5):
        ours.receive(packet(n), THERE, n * 0.02)
        ours.tick(n * 0.02)
    for n in range(5):
        ours.receive(packet(30_000 + n, ssrc=9, timestamp=n * 160), THERE, 1.0 + n * 0.02)
        ours.tick(1.0 + n * 0.02)
    stats = ours.stats()
    assert (stats["received_packets"], stats["lost_packets"], stats["resyncs"]) == (10, 0, 0)


def test_sender_that_begins_anew_under_its_name_is_followed() -> None:
    ours = stream()
    for n in range(5):
        ours.receive(packet(n), THERE, n * 0.02)
    for n in range(3):
        ours.receive(packet(40_000 + n, timestamp=n * 160), THERE, 0.1 + n * 0.02)
    stats = ours.stats()
    assert stats["dropped_packets"] == {"jumped": 1}
    assert stats["received_packets"] == 7


def test_phone_behind_nat_is_answered_where_it_is() -> None:
    ours = RtpStream(random.Random(1), Trust.SIGNALLED)
    ours.apply(replace(PLAN, remote=("10.0.0.5", 4000)), frozenset({"203.0.113.9"}))
    ours.start(0.0)
    ours.tick(0.005)
    assert [target for _, target in ours.outgoing()] == [("10.0.0.5", 4000)]
    ours.receive(packet(1), ("203.0.113.9", 61_000), 0.01)
    ours.tick(0.04)
    assert {target for _, target in ours.outgoing()} == {("203.0.113.9", 61_000)}


@given(st.lists(st.tuples(st.binary(max_size=40), st.booleans(), st.floats(0, 0.3)), max_size=40))
def test_no_datagram_stops_a_call(datagrams: list[tuple[bytes, bool, float]]) -> None:
    ours = stream()
    now = 0.0
    for data, looks_good, wait_s in datagrams:
        now += wait_s
        kinds = (b"\x80\x08", b"\x80\x65", b"\x80\x0d", b"\xb1\x08")
        head = kinds[len(data) % 4] if looks_good else b""
        ours.receive(head + data, THERE, now)
        ours.tick(now)
    ours.tick(now + 1)
    assert ours.outgoing()
