"""The offline voice: trimmed, repeatable, and understood by the offline ears."""

from __future__ import annotations

import re

import numpy as np
import pytest
from livekit import rtc

from agent.speech.number import digits_in
from agent.speech.stt import MoonshineSTT
from agent.speech.voice import RATE_HZ, load_voice, silence


async def heard(text: str) -> str:
    """Return what a caller on a telephone line would hear, as the recogniser writes it."""
    pcm = load_voice().say(text)
    resampler = rtc.AudioResampler(RATE_HZ, 8000)
    frames = [*resampler.push(bytearray(pcm)), *resampler.flush()]
    event = await MoonshineSTT().recognize(frames)
    return " ".join(re.findall(r"[a-z0-9]+", event.alternatives[0].text.lower()))


def test_silence_around_the_words_is_trimmed() -> None:
    samples = np.frombuffer(load_voice().say("Good morning."), np.int16)
    loud = np.flatnonzero(np.abs(samples) > 0.01 * 32_768)
    assert loud[0] <= 0.03 * RATE_HZ
    assert samples.size - loud[-1] <= 0.08 * RATE_HZ


def test_same_line_sounds_the_same() -> None:
    assert load_voice().say("One moment.") == load_voice().say("One moment.")


def test_fixed_lines_are_kept_and_others_are_not() -> None:
    voice = load_voice()
    voice.keep("Which day suits you?")
    assert voice.say("Which day suits you?") is voice.say(" Which day suits you? ")
    assert voice.say("Thanks, Daniel.") is not voice.say("Thanks, Daniel.")


@pytest.mark.parametrize("text", ["", "  ", "...", "**"])
def test_nothing_to_say_is_no_audio(text: str) -> None:
    assert load_voice().say(text) == b""


def test_silence_has_the_length_asked_for() -> None:
    assert len(silence(250)) == 2 * RATE_HZ // 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The amount due is $149.95.", "one hundred forty nine dollars and ninety five cents"),
        ("You owe \u20b915,000.", "fifteen thousand rupees"),
        ("The visit is on 2026-05-12 at 15:30.", "three thirty p m"),
        ("We're open until 5:30 PM.", "five thirty p m"),
        ("Your room is on the 21st floor.", "twenty first floor"),
        ("That is 25% off.", "twenty five per"),
        ("Write to help.desk@example.com please.", "help dot desk at example dot com"),
    ],
)
async def test_figures_are_said_as_words(text: str, words: str) -> None:
    assert words in await heard(text)


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("I have 415-555-0192. Is that right?", "4155550192"),
        ("Your order number is 88231.", "88231"),
        ("The zip code is 94110.", "94110"),
    ],
)
async def test_identifiers_are_said_digit_by_digit(text: str, digits: str) -> None:
    assert digits_in(await heard(text)) == digits
