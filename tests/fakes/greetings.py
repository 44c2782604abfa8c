"""Who takes a call, spoken: greetings of people and of machines, as they sound on a telephone.

A greeting is a line of text: what is said, pauses in seconds (`{0.6}`) and beeps (`{1000Hz 0.4}`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np

from agent.machine.beep import Beep
from agent.machine.greeting import Greeting, Verdict
from agent.machine.hearing import Hearing
from agent.machine.phrase import MACHINES, read
from agent.speech.moonshine import RATE_HZ as WORDS_RATE_HZ
from agent.speech.moonshine import load_moonshine
from agent.turn_end import at_model_rate
from bridges.audio.g711 import MU_LAW
from contracts.machine import AnsweredBy, MachineDetection
from voicefleet.caller_voice import speak

RATE_HZ = 8000
FRAME_BYTES = 2 * RATE_HZ // 50
ROOT = Path(__file__).parents[2]
_CACHE = ROOT / ".voicefleet" / "caller"
_PART = re.compile(r"\{([0-9.]+)(Hz ([0-9.]+))?\}")
_NOISE_RMS = 12.0
_WORDS_AFTER_S = 0.2
"""A recogniser knows the words so long into a pause, and looks at no shorter one."""
_TAIL_S = 6.0


def listed(name: str) -> tuple[tuple[AnsweredBy, str], ...]:
    """Return who takes the call and how they greet, of a list: `spoken` or `unseen`.

    Thresholds and phrases were made with the first before the eyes, and not with the second.
    """
    lines = (ROOT / "tests" / "vectors" / "greetings" / f"{name}.txt").read_text().splitlines()
    parted = (line.partition(":") for line in lines)
    return tuple((cast(AnsweredBy, by), text.strip()) for by, _, text in parted)


@dataclass(frozen=True, slots=True)
class Taken:
    """What the detection made of a greeting.

    Attributes:
        verdict: whom it took it for.
        by: whom it took it for in the end: who is spoken to after a silence may prove a machine.
        rest_s: how much of the greeting was still to come then, pauses included; negative: so long
            after its last sound.
        beeps: what was heard as beeps up to the verdict and after it.
    """

    verdict: Verdict
    by: AnsweredBy
    rest_s: float
    beeps: tuple[Beep, ...]


def tone(hz: float, seconds: float, *, level: float = 6000.0) -> bytes:
    """Return a tone as PCM16, faded at both ends over 4 ms."""
    at = np.arange(int(seconds * RATE_HZ))
    wave = level * np.sin(2 * np.pi * hz * at / RATE_HZ)
    fade = np.minimum(1.0, np.minimum(at, at[::-1]) / (0.004 * RATE_HZ))
    return (wave * fade).astype("<i2").tobytes()


@cache
def sound(greeting: str, tail_s: float = _TAIL_S) -> tuple[bytes, float]:
    """Return a greeting as a phone hears it, a little noisy, and when its last sound ends."""
    pcm = bytearray()
    last = 0
    for text, seconds, is_beep, beep_s in _parts(greeting):
        if is_beep:
            pcm += tone(seconds, beep_s)
            last = len(pcm)
        elif seconds:
            pcm += bytes(2 * int(seconds * RATE_HZ))
        elif text:
            pcm += speak(text, RATE_HZ, cache_path=_CACHE)
            last = len(pcm)
    pcm += bytes(2 * int(tail_s * RATE_HZ))
    samples = np.frombuffer(bytes(pcm), "<i2").astype(np.float64)
    samples += np.random.default_rng(1).normal(0, _NOISE_RMS, samples.size)
    plain = np.clip(samples, -32_768, 32_767).astype("<i2").tobytes()
    return MU_LAW.decode(MU_LAW.encode(plain)), last / 2 / RATE_HZ


def judge(greeting: str, config: MachineDetection | None = None) -> Taken:
    """Return what comes of a greeting: heard in frames, its words known some time into pauses."""
    config = config or MachineDetection()
    policy = Greeting(config)
    pcm, ends_s = sound(greeting)
    hearing = Hearing(RATE_HZ)
    beeps: list[Beep] = []
    verdict: Verdict | None = None
    by: AnsweredBy | None = None
    read_until_s = 0.0
    for at in range(0, len(pcm), FRAME_BYTES):
        for window in hearing.hear(pcm[at : at + FRAME_BYTES]):
            voice = policy.voice
            if window.beep is not None:
                beeps.append(window.beep)
            is_pause = voice.silent_s(window.end_s) >= _WORDS_AFTER_S
            if voice.began_s is not None and is_pause and voice.until_s > read_until_s:
                read_until_s = voice.until_s
                words = words_of(pcm, read_until_s)
                if by == "human" and is_silent(verdict) and read(words, config.phrases) in MACHINES:
                    by, policy = None, Greeting(config, window.end_s, voice=voice.anew())
                policy.words(words)
            found = policy.window(window)
            if by is None and found is not None:
                by, verdict = found.by, verdict or found
    assert verdict is not None, f"nobody was found in {greeting!r}"
    assert by is not None
    return Taken(verdict, by, ends_s - verdict.at_s, tuple(beeps))


def is_silent(verdict: Verdict | None) -> bool:
    """Return whether somebody was spoken to who had said nothing."""
    return verdict is not None and verdict.reason == "silence"


@cache
def words_of(pcm: bytes, until_s: float) -> str:
    """Return what the offline recogniser writes of the first seconds."""
    piece = pcm[: 2 * int((until_s + 0.1) * RATE_HZ)]
    samples = at_model_rate(piece, RATE_HZ).astype(np.float32) / np.float32(32_768)
    longest = 12 * WORDS_RATE_HZ
    parts = [samples[at : at + longest] for at in range(0, samples.size, longest)]
    return " ".join(load_moonshine().decode(part).text for part in parts)


def _parts(greeting: str) -> Iterator[tuple[str, float, bool, float]]:
    at = 0
    for match in _PART.finditer(greeting):
        if text := greeting[at : match.start()].strip():
            yield text, 0.0, False, 0.0
        yield "", float(match[1]), match[2] is not None, float(match[3] or 0)
        at = match.end()
    if text := greeting[at:].strip():
        yield text, 0.0, False, 0.0
