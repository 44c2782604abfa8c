"""The de-jitter buffer against simulated networks, in virtual time: every `now` is ours."""

from __future__ import annotations

import array
import random
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.audio.jitter import (
    MAX_DELAY_MS,
    STEP,
    JitterBuffer,
    Lost,
    Quiet,
    Sound,
    Stretch,
)

LOUD = 10_000


def packet(number: int, *, loud: bool = True, samples: int = STEP) -> bytes:
    """Audio that tells which packet it is of: every sample is the packet's number, loudly."""
    value = LOUD + number % 20_000 if loud else number % 300
    return array.array("h", [value] * samples).tobytes()


@dataclass
class Played:
    """What came out: when, and what."""

    stretches: list[tuple[float, Stretch]] = field(default_factory=list)

    @property
    def samples(self) -> int:
        return sum(
            len(each.pcm) // 2 if isinstance(each, Sound) else each.samples
            for _, each in self.stretches
        )

    def first_heard(self) -> dict[int, float]:
        """Return for each loud packet when its first sample was played."""
        at: dict[int, float] = {}
        for now, stretch in self.stretches:
            if isinstance(stretch, Sound):
                for value in array.array("h", stretch.pcm):
                    if value >= LOUD:
                        at.setdefault(value - LOUD, now)
        return at


def simulate(
    buffer: JitterBuffer,
    arrivals: list[tuple[float, int, bytes]],
    until: float,
) -> Played:
    """Insert packets when they arrive (time, timestamp, audio), tick exactly when asked to."""
    played = Played()
    queue = sorted(arrivals, key=lambda each: each[0])
    while True:
        due = buffer.deadline()
        if queue and queue[0][0] <= due:
            at, timestamp, pcm = queue.pop(0)
            buffer.insert(timestamp & 0xFFFFFFFF, pcm, at)
        elif due <= until:
            played.stretches += [(due, each) for each in buffer.tick(due)]
        else:
            return played


def stream(
    packets: int,
    delay_s: list[float] | float = 0.0,
    *,
    lost: frozenset[int] = frozenset(),
    loud: bool = True,
    base: int = 0xFFFF_F000,
    rate: float = 1.0,
) -> list[tuple[float, int, bytes]]:
    """A sender of a packet each 20 ms, whose clock runs `rate` times as fast as ours.

    The timestamps roll over on the way.
    """
    delays = delay_s if isinstance(delay_s, list) else [delay_s] * packets
    return [
        (n * 0.02 / rate + delays[n], base + n * STEP, packet(n, loud=loud))
        for n in range(packets)
        if n not in lost
    ]


def delays_s(played: Played, rate: float = 1.0) -> list[float]:
    """Return for each packet how long after it was sent it was heard."""
    return [at - n * 0.02 / rate for n, at in played.first_heard().items()]


def test_perfect_network_costs_20_ms_and_loses_nothing() -> None:
    buffer = JitterBuffer(-0.007)
    played = simulate(buffer, stream(500, 0.03), 10.2)
    assert sorted(played.first_heard()) == list(range(500))
    assert delays_s(played) == pytest.approx([0.05] * 500)
    sound = b"".join(each.pcm for _, each in played.stretches if isinstance(each, Sound))
    assert sound == b"".join(packet(n) for n in range(500))
    assert buffer.stats.cut == buffer.stats.stretched == buffer.stats.late == 0


def test_output_is_as_long_as_time_passes() -> None:
    rng = random.Random(4)
    delays = [rng.expovariate(1 / 0.02) for _ in range(1000)]
    lost = frozenset(n for n in range(1000) if rng.random() < 0.05)
    buffer = JitterBuffer(0.0)
    played = simulate(buffer, stream(1000, delays, lost=lost), 20.0)
    assert played.samples / 8000 == pytest.approx(buffer.deadline() - 0.02)
    assert 20.0 < buffer.deadline() <= 20.02
    # A step comes 20 ms after the last, but where it moves to the packets.
    ticks = sorted({at for at, _ in played.stretches})
    assert max(b - a for a, b in pairwise(ticks)) <= 0.04 + 1e-9


def test_jitter_raises_the_target_and_calm_lowers_it_again() -> None:
    rng = random.Random(5)
    rough = [rng.uniform(0.0, 0.06) for _ in range(500)]
    buffer = JitterBuffer(0.0)
    arrivals = stream(500, rough)
    calm = [
        (10 + n * 0.02, 0xFFFF_F000 + (500 + n) * STEP, packet(500 + n, loud=n % 50 > 10))
        for n in range(1500)
    ]
    played = simulate(buffer, arrivals + calm, 10.0)
    assert 55 < buffer.target_ms < 70
    heard = played.first_heard()
    # After the first seconds hardly anything is missed, at the price of no more than the jitter.
    settled = list(range(100, 490))
    assert sum(n not in heard for n in settled) <= 4
    assert max(heard[n] - n * 0.02 for n in settled if n in heard) < 0.1

    played = simulate(buffer, [each for each in calm if each[0] > 9.99], 39.0)
    assert buffer.target_ms == 20
    late = [at - n * 0.02 for n, at in played.first_heard().items() if n > 1500]
    assert max(late) < 0.035


@pytest.mark.parametrize("lost_percent", [1, 5, 20])
def test_lost_packets_become_as_long_a_gap_and_nothing_else_changes(lost_percent: int) -> None:
    rng = random.Random(lost_percent)
    lost = frozenset(n for n in range(5, 990) if rng.random() < lost_percent / 100)
    buffer = JitterBuffer(0.0)
    played = simulate(buffer, stream(1000, lost=lost), 20.0)
    assert set(played.first_heard()) == set(range(1000)) - lost
    # Whatever was lost was filled by as much; waits in vain are taken back.
    gaps = sum(each.samples for _, each in played.stretches if isinstance(each, Lost))
    assert gaps == pytest.approx(len(lost) * STEP, abs=10 * STEP)
    assert max(delays_s(played)) < 0.085


def test_reordered_packets_play_in_order_and_doubles_once() -> None:
    arrivals = stream(50)
    arrivals[10] = (arrivals[11][0] + 0.001, *arrivals[10][1:])
    arrivals.append((arrivals[20][0] + 0.001, *arrivals[20][1:]))
    arrivals.append((arrivals[30][0] + 0.3, *arrivals[30][1:]))
    buffer = JitterBuffer(0.0, min_delay_ms=40)
    played = simulate(buffer, arrivals, 1.0)
    values = [value - LOUD for _, each in played.stretches if isinstance(each, Sound)
              for value in array.array("h", each.pcm)]  # fmt: skip
    assert values == sorted(values)
    assert len(values) == 48 * STEP
    assert buffer.stats.doubled == 1
    assert buffer.stats.late == 1


def test_stall_delays_words_and_the_pause_after_them_makes_up_for_it() -> None:
    # Packets 50 to 57 come all at once when 58 is due; the speaker pauses from 100 on.
    arrivals = [
        (
            (58 if 50 <= n < 58 else n) * 0.02,
            n * STEP,
            packet(n, loud=n < 100 or n >= 200),
        )
        for n in range(300)
    ]
    buffer = JitterBuffer(0.0)
    played = simulate(buffer, arrivals, 5.98)
    heard = played.first_heard()
    # Far behind, each fifth of a second two packets are blended into one.
    assert len(set(range(100)) - set(heard)) <= 2
    assert 0.1 < heard[60] - 60 * 0.02 < 0.2
    # (Packets 200 on are loud again, and told by their numbers.)
    assert heard[250] - 250 * 0.02 < heard[60] - 60 * 0.02 - 0.02
    assert buffer.stats.late == 0


def test_long_stall_does_not_leave_old_audio_behind() -> None:
    # A second of nothing, then all of it at once.
    arrivals = [((100 if 50 <= n < 100 else n) * 0.02, n * STEP, packet(n)) for n in range(200)]
    buffer = JitterBuffer(0.0)
    played = simulate(buffer, arrivals, 4.0)
    waited = [at - n * 0.02 for n, at in played.first_heard().items() if n > 100]
    assert max(waited) <= MAX_DELAY_MS / 1000 + 0.041
    assert buffer.stats.dropped > 35 * STEP


@pytest.mark.parametrize("ppm", [-300, 300])
def test_clock_drift_is_followed_without_losing_words(ppm: int) -> None:
    rate = 1 + ppm / 1e6
    # Ten minutes, speech and pauses of a second in turn: 180 ms of drift.
    arrivals = [
        (n * 0.02 / rate, n * STEP, packet(n % 19_999, loud=n // 50 % 2 == 0))
        for n in range(30_000)
    ]
    buffer = JitterBuffer(0.0)
    worst, lost = 0.0, 0
    played = simulate(buffer, arrivals, 599.0)
    numbers = iter(arrivals)
    for at, each in played.stretches:
        lost += isinstance(each, Lost)
        if isinstance(each, Sound) and each.pcm[1] >= LOUD >> 8:
            number = array.array("h", each.pcm[:2])[0] - LOUD
            sent = next(when for when, stamp, _ in numbers if stamp // STEP % 19_999 == number)
            worst = max(worst, at - sent)
    assert worst < 0.045
    assert lost < 30
    assert buffer.stats.late == 0


def test_sudden_detour_neither_oscillates_nor_loses() -> None:
    delays = [0.0] * 200 + [0.15] * 800
    buffer = JitterBuffer(0.0)
    played = simulate(buffer, stream(1000, delays), 20.0)
    assert set(range(990)) <= set(played.first_heard())
    gaps = [each for _, each in played.stretches if isinstance(each, Lost)]
    assert sum(each.samples for each in gaps) <= 10 * STEP
    assert max(at - n * 0.02 for n, at in played.first_heard().items()) < 0.2


def test_silence_suppression_is_a_pause_not_a_loss() -> None:
    buffer = JitterBuffer(0.0)
    played = simulate(buffer, stream(50), 0.99)
    buffer.pause()
    quiet = simulate(buffer, [], 3.0)
    assert {type(each) for _, each in quiet.stretches[3:]} == {Quiet}
    again = [(3.0 + n * 0.02, 0xFFFF_F000 + (150 + n) * STEP, packet(150 + n)) for n in range(50)]
    played = simulate(buffer, again, 3.98)
    assert set(range(150, 198)) <= set(played.first_heard())
    assert not any(isinstance(each, Lost) for _, each in played.stretches)
    assert buffer.stats.concealed <= STEP


def test_sender_that_falls_silent_unannounced_is_concealed_briefly_then_paused() -> None:
    buffer = JitterBuffer(0.0)
    played = simulate(buffer, stream(50), 3.0)
    gap = [each for _, each in played.stretches if isinstance(each, Lost)]
    assert sum(each.samples for each in gap) == 5 * STEP
    assert isinstance(played.stretches[-1][1], Quiet)


@pytest.mark.parametrize("ptime_samples", [80, 160, 240, 320, 480])
def test_any_packet_length_is_played_whole(ptime_samples: int) -> None:
    arrivals = [
        (n * ptime_samples / 8000, n * ptime_samples, packet(n, samples=ptime_samples))
        for n in range(100)
    ]
    buffer = JitterBuffer(0.0)
    played = simulate(buffer, arrivals, 100 * ptime_samples / 8000 - 0.07)
    sound = b"".join(each.pcm for _, each in played.stretches if isinstance(each, Sound))
    assert sound == b"".join(pcm for _, _, pcm in arrivals)[: len(sound)]
    assert not any(isinstance(each, Lost) for _, each in played.stretches)
    assert len(sound) > 90 * ptime_samples * 2


def test_timestamps_that_jump_are_followed_after_two_packets() -> None:
    jumped = [(1.0 + n * 0.02, 5_000_000 + n * STEP, packet(50 + n)) for n in range(50)]
    stray = [(0.505, 0x7000_0000, packet(999))]
    buffer = JitterBuffer(0.0)
    played = simulate(buffer, stream(50, base=0) + jumped + stray, 1.99)
    assert set(played.first_heard()) >= set(range(98))
    assert 999 not in played.first_heard()
    assert buffer.stats.resyncs == 1


def test_restart_forgets_the_former_source() -> None:
    buffer = JitterBuffer(0.0)
    simulate(buffer, stream(50), 0.9)
    buffer.restart()
    played = simulate(buffer, [(1.0 + n * 0.02, 77 + n * STEP, packet(n)) for n in range(50)], 1.9)
    assert set(played.first_heard()) >= set(range(44))
    assert buffer.stats.resyncs == 0


def test_speech_that_never_pauses_is_sped_up_when_far_behind() -> None:
    delays = [0.0] * 50 + [(70 - n) * 0.02 if n < 70 else 0.0 for n in range(50, 1000)]
    buffer = JitterBuffer(0.0)
    played = simulate(buffer, stream(1000, delays), 19.0)
    heard = played.first_heard()
    early, late = heard[75] - 75 * 0.02, heard[940] - 940 * 0.02
    assert early > 0.15
    assert late < 0.11
    assert buffer.stats.cut > 0


def test_nothing_is_made_of_an_empty_packet() -> None:
    buffer = JitterBuffer(0.0)
    buffer.insert(5, b"", 0.0)
    assert buffer.tick(0.02) == [Quiet(STEP)]


@given(
    st.lists(
        st.tuples(
            st.floats(0, 0.5),
            st.integers(0, 0xFFFFFFFF) | st.integers(0, 40).map(lambda n: n * STEP),
            st.integers(0, 700),
        ),
        max_size=60,
    )
)
def test_any_sender_gets_a_steady_stream(arrivals: list[tuple[float, int, int]]) -> None:
    buffer = JitterBuffer(0.0)
    packets = [(at, stamp, bytes(2 * samples)) for at, stamp, samples in arrivals]
    played = simulate(buffer, packets, 1.0)
    assert played.samples / 8000 == pytest.approx(buffer.deadline() - 0.02)
    assert 1.0 < buffer.deadline() <= 1.02 + 1e-9
