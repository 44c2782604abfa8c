"""The text-to-speech plug-in: audio early, words timed."""

from __future__ import annotations

import pytest
from livekit.agents import tts
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT, TimedString

from agent.speech.tts import HibariTTS, pieces_of, timed_words
from agent.speech.voice import RATE_HZ

LINE = "So that's a cleaning, on Tuesday, May 5 at 3:30 PM. Shall I book it?"


async def spoken_line(text: str) -> list[tts.SynthesizedAudio]:
    async with HibariTTS().stream() as stream:
        stream.push_text(text)
        stream.end_input()
        return [audio async for audio in stream]


def words_of(audio: list[tts.SynthesizedAudio]) -> list[TimedString]:
    return [word for item in audio for word in item.frame.userdata[USERDATA_TIMED_TRANSCRIPT]]


async def test_words_are_the_text_and_lie_within_the_audio() -> None:
    audio = await spoken_line(LINE)
    timed = words_of(audio)
    assert "".join(timed).strip() == LINE
    starts = [float(word.start_time) for word in timed if isinstance(word.start_time, float)]
    assert len(starts) == len(timed)
    assert starts == sorted(starts)
    duration_s = sum(item.frame.duration for item in audio)
    assert timed[-1].end_time == pytest.approx(duration_s, abs=0.02)


async def test_words_come_with_the_audio_of_their_clause() -> None:
    audio = await spoken_line(LINE)
    at_s = 0.0
    for item in audio:
        for word in item.frame.userdata[USERDATA_TIMED_TRANSCRIPT]:
            assert word.start_time >= at_s - 0.3
        at_s += item.frame.duration


async def test_first_clause_is_spoken_before_the_text_is_complete() -> None:
    async with HibariTTS().stream() as stream:
        stream.push_text("Thank you very much, I have ")
        first = await anext(stream)
        assert first.frame.sample_rate == RATE_HZ
        stream.push_text("found your visit.")
        stream.end_input()
        rest = [audio async for audio in stream]
    assert rest[-1].is_final


async def test_chunks_are_short() -> None:
    audio = await spoken_line("Please hold the line while I look for your next visit.")
    assert max(item.frame.duration for item in audio) <= 0.25


async def test_whole_text_is_synthesised_in_one_call() -> None:
    async with HibariTTS().synthesize(LINE) as stream:
        frame = await stream.collect()
    streamed = sum(item.frame.duration for item in await spoken_line(LINE))
    assert frame.duration == pytest.approx(streamed, abs=0.02)


async def test_fixed_lines_are_kept_by_the_voice() -> None:
    engine = HibariTTS(fixed_lines=["How can I help you?"])
    piece = pieces_of("How can I help you?")[0].text
    assert engine.voice.say(piece) is engine.voice.say(piece)


def test_longer_words_take_longer() -> None:
    short, figures = timed_words("on 2026-05-01", 1.0, 2.0)
    assert short.start_time == 1.0
    assert figures.end_time == pytest.approx(3.0)
    assert isinstance(short.end_time, float)
    assert short.end_time < 1.5


def test_blank_text_has_no_words() -> None:
    assert timed_words(" ", 0.0, 0.0) == []
