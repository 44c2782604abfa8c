"""When there was voice, from windows of audio."""

from __future__ import annotations

from agent.machine.beep import Beep
from agent.machine.voice import Voice, Window


def hear(voice: Voice, pattern: str, from_s: float = 0.0) -> float:
    """Play `#` voice, `.` none, `~` a tone, each 0.05 s; return when it ended."""
    for at, sort in enumerate(pattern, 1):
        voice.window(Window(round(from_s + 0.05 * at, 3), sort == "#", sort == "~"))
    return from_s + 0.05 * len(pattern)


def test_silence_is_counted_from_the_last_voice() -> None:
    voice = Voice()
    end_s = hear(voice, "....########....")
    assert voice.began_s == 0.2
    assert voice.until_s == 0.6
    assert round(voice.span_s, 3) == 0.4
    assert round(voice.silent_s(end_s), 3) == 0.2


def test_click_is_no_voice() -> None:
    voice = Voice()
    hear(voice, "..#..#...")
    assert voice.began_s is None
    assert voice.span_s == 0.0


def test_short_pause_joins_and_a_long_one_begins_anew() -> None:
    voice = Voice()
    end_s = hear(voice, "####..####")
    assert voice.onset_s == 0.0
    hear(voice, "......####", end_s)
    assert round(voice.onset_s, 3) == 0.8
    assert voice.began_s == 0.0


def test_last_tone_and_beep_are_kept() -> None:
    voice = Voice()
    hear(voice, "..~~..")
    assert voice.tone_s == 0.2
    beep = Beep(0.1, 0.2, 1000.0)
    voice.window(Window(0.35, False, beep=beep))
    voice.window(Window(0.4, False))
    assert voice.beep is beep


def test_present_stretch_can_be_taken_for_the_first() -> None:
    voice = Voice()
    end_s = hear(voice, "####......####..")
    fresh = voice.anew()
    assert (round(fresh.onset_s, 3), round(fresh.span_s, 3)) == (0.5, 0.2)
    hear(fresh, "####", end_s)
    assert round(fresh.span_s, 3) == 0.5
