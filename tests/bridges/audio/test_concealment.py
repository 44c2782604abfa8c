"""What is played in place of lost audio, measured on waveforms."""

from __future__ import annotations

import array
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.audio.concealment import FADE, SEAM, SOLID, Concealer

FRAME = 160


def voice(samples: int, *, pitch_hz: float = 125.0, start: int = 0) -> list[int]:
    """A vowel's buzz: harmonics of a pitch, falling off."""
    return [
        round(
            sum(
                6000 / n * math.sin(2 * math.pi * pitch_hz * n * at / 8000 + n) for n in range(1, 9)
            )
        )
        for at in range(start, start + samples)
    ]


def pcm_of(samples: list[int]) -> bytes:
    return array.array("h", samples).tobytes()


def samples_of(pcm: bytes) -> list[int]:
    return list(array.array("h", pcm))


def worst_step(samples: list[int]) -> int:
    return max(abs(b - a) for a, b in pairwise(samples))


def energy(samples: list[int]) -> float:
    return sum(value * value for value in samples) / len(samples)


def play_with_losses(concealer: Concealer, samples: list[int], lost: set[int]) -> list[int]:
    heard: list[int] = []
    for frame in range(len(samples) // FRAME):
        piece = samples[frame * FRAME : (frame + 1) * FRAME]
        pcm = concealer.conceal(FRAME) if frame in lost else concealer.play(pcm_of(piece))
        heard += samples_of(pcm)
    return heard


def test_what_arrives_is_played_untouched() -> None:
    samples = voice(10 * FRAME)
    assert play_with_losses(Concealer(), samples, set()) == samples


@pytest.mark.parametrize("pitch_hz", [70, 80, 100, 125, 147, 180, 199])
@pytest.mark.parametrize("lost", [{5}, {5, 6}, {5, 9, 13}])
def test_no_clicks_where_frames_are_lost(pitch_hz: float, lost: set[int]) -> None:
    samples = voice(20 * FRAME, pitch_hz=pitch_hz)
    heard = play_with_losses(Concealer(), samples, lost)
    zeroed = [0 if at // FRAME in lost else value for at, value in enumerate(samples)]
    assert len(heard) == len(samples)
    # Nothing steeper than the voice itself has; silence in place of the frames clicks.
    assert worst_step(heard) < 1.3 * worst_step(samples)
    assert energy([a - b for a, b in zip(heard, samples, strict=True)]) < 0.6 * energy(
        [a - b for a, b in zip(zeroed, samples, strict=True)]
    )


def test_one_lost_frame_of_a_steady_voice_is_hardly_told_from_it() -> None:
    samples = voice(20 * FRAME)
    heard = play_with_losses(Concealer(), samples, {10})
    gap = slice(10 * FRAME, 11 * FRAME)
    error = energy([a - b for a, b in zip(heard[gap], samples[gap], strict=True)])
    assert error < 0.05 * energy(samples[gap])


def test_long_loss_fades_instead_of_buzzing() -> None:
    concealer = Concealer()
    play_with_losses(concealer, voice(10 * FRAME), set())
    gap = samples_of(b"".join(concealer.conceal(FRAME) for _ in range(10)))
    parts = [energy(gap[at : at + FRAME]) for at in range(0, 10 * FRAME, FRAME)]
    assert parts[0] > 10 * parts[2] > 0
    # What is left is the noise of the line, of which there was hardly any.
    assert max(map(abs, gap[SOLID + FADE :])) < 20


def test_after_a_gap_real_audio_is_led_over_to() -> None:
    concealer = Concealer()
    play_with_losses(concealer, voice(10 * FRAME), set())
    made_up = samples_of(concealer.conceal(FRAME))
    back = samples_of(concealer.play(pcm_of([-3000] * FRAME)))
    assert abs(back[0] - made_up[-1]) < worst_step(voice(FRAME)) * 1.3
    assert back[SEAM:] == [-3000] * (FRAME - SEAM)


def test_pause_ends_softly_and_has_the_noise_of_the_line() -> None:
    concealer = Concealer()
    hum = [100 if at % 7 < 3 else -100 for at in range(FRAME)]
    for _ in range(100):
        concealer.play(pcm_of(hum))
    concealer.play(pcm_of([*voice(FRAME)[:-1], 9000]))
    rest = samples_of(concealer.rest(FRAME))
    assert 9000 >= rest[0] > 8000
    assert worst_step([9000, *rest]) < 9000 / SEAM + 150
    assert 5 < energy(samples_of(concealer.rest(FRAME))) ** 0.5 < 100


def test_line_that_was_silent_rests_in_silence() -> None:
    assert Concealer().rest(FRAME) == bytes(2 * FRAME)
    concealer = Concealer()
    concealer.play(bytes(2 * FRAME))
    assert concealer.rest(FRAME) == bytes(2 * FRAME)


@pytest.mark.parametrize(("dbov", "rms"), [(50, 103.6), (60, 32.8), (0, 462)])
def test_comfort_noise_has_the_level_the_sender_says(dbov: int, rms: float) -> None:
    concealer = Concealer()
    concealer.describe_noise(b"")
    concealer.describe_noise(bytes([dbov, 1, 2, 3]))
    noise = samples_of(b"".join(concealer.rest(FRAME) for _ in range(100)))[SOLID + FADE :]
    # Nobody's comfort is louder than a quiet voice.
    assert energy(noise) ** 0.5 == pytest.approx(rms, rel=0.05)


def test_nothing_to_play_changes_nothing() -> None:
    concealer = Concealer()
    concealer.conceal(FRAME)
    assert concealer.play(b"") == b""


@given(
    st.lists(
        st.tuples(st.sampled_from("plr"), st.integers(1, 400), st.integers(-32768, 32767)),
        max_size=30,
    )
)
def test_any_sequence_keeps_its_length(actions: list[tuple[str, int, int]]) -> None:
    concealer = Concealer()
    for action, samples, value in actions:
        match action:
            case "p":
                pcm = concealer.play(pcm_of([value, -value - 1] * samples))
                assert len(pcm) == 4 * samples
            case "l":
                assert len(concealer.conceal(samples)) == 2 * samples
            case _:
                assert len(concealer.rest(samples)) == 2 * samples
