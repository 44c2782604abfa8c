"""Ears for tests: what was said in a waveform, and when the bot can be heard on a phone."""

from __future__ import annotations

import asyncio
from difflib import SequenceMatcher

import numpy as np
from livekit import rtc

from agent.speech.stt import MoonshineSTT
from bridges.audio.waveform import loud_spans
from bridges.handset import FRAME_S, Handset

_RATE_HZ = 8000
_MARGIN_S = 0.1


async def words_in(pcm: bytes, rate_hz: int = _RATE_HZ) -> str:
    """Return the words in PCM16, lower case, without punctuation; speech by speech."""
    stt = MoonshineSTT()
    heard: list[str] = []
    samples = np.frombuffer(pcm, dtype="<i2")
    for span in loud_spans(pcm, rate_hz=rate_hz):
        start = max(0, int((span.start_s - _MARGIN_S) * rate_hz))
        piece = samples[start : int((span.end_s + _MARGIN_S) * rate_hz)]
        frame = rtc.AudioFrame(piece.tobytes(), rate_hz, 1, len(piece))
        event = await stt.recognize([frame])
        heard.append(event.alternatives[0].text)
    kept = "".join(c for c in " ".join(heard).lower().replace("-", "") if c.isalnum() or c == " ")
    return " ".join(kept.split())


def pitches_hz(pcm: bytes) -> list[float]:
    """Return the pitch of each sound in PCM16 of a telephone's rate."""
    samples = np.frombuffer(pcm, dtype="<i2")
    found = []
    for span in loud_spans(pcm):
        piece = samples[round(span.start_s * _RATE_HZ) : round(span.end_s * _RATE_HZ)]
        spectrum = np.abs(np.fft.rfft(piece * np.hanning(len(piece)), n=_RATE_HZ))
        found.append(float(np.argmax(spectrum)))
    return found


def sounding(pcm: bytes) -> bytes:
    """Return audio without its silences, since a busy machine's stalls are recorded as such."""
    samples = np.frombuffer(pcm, "<i2")
    return bytes(samples[samples != 0].tobytes())


def hears(phrase: str, words: str, likeness: float = 0.8) -> bool:
    """Return whether `phrase` is among `words`, give or take what a recogniser mishears."""
    plain = words.lower().replace("-", "").replace(",", "").replace(".", "").split()
    count = len(phrase.split())
    for size in (count - 1, count, count + 1):
        for start in range(max(1, len(plain) - size + 1)):
            heard = " ".join(plain[start : start + size])
            if SequenceMatcher(None, phrase, heard).ratio() >= likeness:
                return True
    return False


async def bot_starts(phone: Handset, after_s: float, timeout_s: float = 10.0) -> float:
    """Wait until the bot starts to speak after `after_s` and return when it did."""
    async with asyncio.timeout(timeout_s):
        while True:
            if phone.loud_until_s > after_s:
                starts = [span.start_s for span in phone.bot_audio_segments()]
                later = [start_s for start_s in starts if start_s > after_s]
                if later:
                    return later[0]
            await asyncio.sleep(FRAME_S)
