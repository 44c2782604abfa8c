"""The imagined caller's voice."""

from __future__ import annotations

from pathlib import Path

from livekit import rtc

from agent.speech.stt import MoonshineSTT
from agent.speech.voice import load_voice
from voicefleet.caller_voice import speak


async def test_caller_is_understood_on_a_telephone_line() -> None:
    pcm = speak("Can I speak to a real person, please?")
    frame = rtc.AudioFrame(pcm, 8000, 1, len(pcm) // 2)
    event = await MoonshineSTT().recognize(frame)
    assert "speak to a real person" in event.alternatives[0].text.lower()


def test_caller_keeps_about_the_bots_pace() -> None:
    line = "I would like to book an appointment."
    caller_s = len(speak(line, 24_000)) / 48_000
    bot_s = len(load_voice().say(line)) / 48_000
    assert 0.85 < caller_s / bot_s < 1.15


def test_speech_is_kept_in_the_folder(tmp_path: Path) -> None:
    made = speak("Hello there.", cache_path=tmp_path / "cache")
    (path,) = (tmp_path / "cache").iterdir()
    path.write_bytes(made[:2000])
    assert speak("Hello there.", cache_path=tmp_path / "cache") == made[:2000]
    assert speak("Hello there.", 16_000, cache_path=tmp_path / "cache") != made[:2000]
