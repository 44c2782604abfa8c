"""The speech-to-text plug-in: events in order, nothing lost, nothing invented."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

import pytest
from livekit import rtc
from livekit.agents import stt
from livekit.agents.stt import SpeechEventType as Kind

from agent.speech.number import digits_in
from agent.speech.segment import SegmentRule
from agent.speech.stt import MoonshineSTT
from tests.fakes.speech import finals, frames, push, silence, until, utterance
from voicefleet.caller_voice import speak


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower())


async def test_final_comes_by_flush_with_times_and_confidence() -> None:
    async with MoonshineSTT().stream() as stream:
        push(stream, utterance("What are your opening hours?"))
        stream.flush()
        started = await until(stream, Kind.START_OF_SPEECH)
        final = await until(stream, Kind.FINAL_TRANSCRIPT)
        data = final.alternatives[0]
        await until(stream, Kind.END_OF_SPEECH)
        usage = await until(stream, Kind.RECOGNITION_USAGE)
    assert words(data.text) == words("What are your opening hours?")
    assert data.confidence > 0.5
    assert 0.0 <= data.start_time < 0.4
    assert 1.0 < data.end_time - data.start_time < 2.5
    assert started.request_id == final.request_id != ""
    assert usage.recognition_usage is not None
    assert usage.recognition_usage.audio_duration > 1.0


async def test_interims_come_while_the_caller_speaks() -> None:
    pcm = utterance("I would like to book a cleaning for next Tuesday afternoon.", tail_s=0)
    async with MoonshineSTT().stream() as stream:
        push(stream, pcm[: len(pcm) // 2])
        interim = await until(stream, Kind.INTERIM_TRANSCRIPT)
        assert interim.alternatives[0].text
        push(stream, pcm[len(pcm) // 2 :])
        stream.end_input()
        assert words((await finals(stream))[0])[-3:] == ["next", "tuesday", "afternoon"]


async def test_pause_is_decoded_ahead_and_gives_the_final() -> None:
    async with MoonshineSTT().stream() as stream:
        push(stream, utterance("Can I speak to a person?"))
        preflight = await until(stream, Kind.PREFLIGHT_TRANSCRIPT)
        stream.flush()
        final = await until(stream, Kind.FINAL_TRANSCRIPT)
    assert final.alternatives[0].text == preflight.alternatives[0].text


async def test_hesitation_does_not_cut_a_number_in_two() -> None:
    pcm = utterance("My number is four one five, five five five", tail_s=0.6)
    async with MoonshineSTT().stream() as stream:
        push(stream, pcm + utterance("zero one nine two."))
        stream.end_input()
        texts = await finals(stream)
    assert [digits_in(text) for text in texts] == ["4155550192"]


async def test_undriven_stream_ends_utterances_by_itself() -> None:
    async with MoonshineSTT(driven=False).stream() as stream:
        push(stream, utterance("Yes, please.") + utterance("Next Tuesday."))
        stream.end_input()
        texts = await finals(stream)
    assert [words(text) for text in texts] == [["yes", "please"], ["next", "tuesday"]]


async def test_last_words_are_not_lost_when_the_input_ends() -> None:
    async with MoonshineSTT().stream() as stream:
        push(stream, utterance("Thank you very much.", tail_s=0))
        stream.end_input()
        assert [words(text) for text in await finals(stream)] == [["thank", "you", "very", "much"]]


@pytest.mark.parametrize("pcm", [silence(2.0), silence(1.0) + b"\xff\x3f" * 40 + silence(1.0)])
async def test_silence_and_clicks_say_nothing(pcm: bytes) -> None:
    async with MoonshineSTT().stream() as stream:
        push(stream, pcm)
        stream.end_input()
        assert await finals(stream) == []


async def test_long_speech_is_cut_at_a_pause() -> None:
    rule = SegmentRule(cut_s=2.0)
    pcm = utterance("I would like to book an appointment.", tail_s=0.2)
    async with MoonshineSTT(rule=rule).stream() as stream:
        push(stream, pcm + utterance("And I need to know the price."))
        stream.end_input()
        texts = await finals(stream)
    assert len(texts) == 2
    assert words(texts[1])[-2:] == ["the", "price"]


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 24_000])
async def test_any_rate_is_heard(rate_hz: int) -> None:
    async with MoonshineSTT().stream() as stream:
        push(stream, utterance("Do you take credit cards?", rate_hz), rate_hz)
        stream.end_input()
        assert words((await finals(stream))[0]) == ["do", "you", "take", "credit", "cards"]


async def test_flush_in_the_middle_keeps_what_comes_after() -> None:
    async with MoonshineSTT().stream() as stream:
        push(stream, utterance("Good morning."))
        stream.flush()
        push(stream, utterance("Is there any parking?"))
        stream.end_input()
        texts = await finals(stream)
    assert [words(text)[-1] for text in texts] == ["morning", "parking"]


async def test_whole_recording_is_recognised_at_once() -> None:
    buffer = list(frames(utterance("I have already paid that.")))
    event = await MoonshineSTT().recognize(buffer)
    assert words(event.alternatives[0].text) == ["i", "have", "already", "paid", "that"]


def test_session_is_told_to_flush_only_where_it_drives() -> None:
    assert MoonshineSTT().capabilities.manual_flush
    assert not MoonshineSTT(driven=False).capabilities.manual_flush


@pytest.mark.parametrize(
    "sentence",
    [
        "I would like to book an appointment for a cleaning.",
        "How much does a filling cost?",
        "Is there parking at the clinic?",
        "Can I speak to a real person?",
        "My name is Daniel.",
        "Next Tuesday in the afternoon.",
        "Half past three would be great.",
        "Please cancel my appointment.",
        "I already paid that last week.",
        "I can pay it on Friday.",
        "Could you repeat that, please?",
        "Thank you, that is all.",
    ],
)
async def test_sentences_on_a_telephone_line_are_understood(sentence: str) -> None:
    buffer: list[rtc.AudioFrame] = list(frames(utterance(sentence)))
    event: stt.SpeechEvent = await MoonshineSTT().recognize(buffer)
    heard, said = words(event.alternatives[0].text), words(sentence)
    # The voice is not the same to the sample every time: a small word or two may change.
    likeness = SequenceMatcher(None, said, heard).ratio()
    assert likeness >= 0.6, event.alternatives[0].text


@pytest.mark.parametrize("number", ["4155550192", "2125550143", "94110", "88231", "9876543210"])
async def test_digits_on_a_telephone_line_are_understood(number: str) -> None:
    event = await MoonshineSTT().recognize(list(frames(silence(0.2) + speak(number))))
    assert digits_in(event.alternatives[0].text) == number
