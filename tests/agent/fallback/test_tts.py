"""A voice of several, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from livekit.agents import APIConnectionError, APIConnectOptions, APIStatusError, tts
from livekit.agents.types import (
    DEFAULT_API_CONNECT_OPTIONS,
    USERDATA_TIMED_TRANSCRIPT,
    TimedString,
)

from agent.failure import EnginesLost
from agent.fallback.line_up import LineUp, Switched
from agent.fallback.tts import FallbackTTS
from tests.fakes.virtual_time import virtual_time

RATE_HZ = 8000
WORD_S = 0.5
LINE = "one two three four five six seven eight"
RESET = APIConnectionError("reset")
FOR_EVER = 1e6


class Voice(tts.TTS[Any]):
    """Says each word in half a second of audio, made at once; fails before the word `breaks_at`.

    Args:
        breaks_at: how many words it says; None: all.
        error: how it fails; None: it falls silent.
        level: the value of its samples.
        pause_s: before each word.
    """

    def __init__(
        self,
        breaks_at: int | None = None,
        error: Exception | None = RESET,
        *,
        level: int = 1,
        rate_hz: int = RATE_HZ,
        pause_s: float = 0.0,
        has_times: bool = True,
        streaming: bool = True,
    ) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=streaming, aligned_transcript=has_times),
            sample_rate=rate_hz,
            num_channels=1,
        )
        self.breaks_at = breaks_at
        self.error = error
        self.level = level
        self.pause_s = pause_s
        self.given: list[str] = []
        self.is_closed = False

    def stream(
        self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.SynthesizeStream:
        return _Streamed(tts=self, conn_options=conn_options)

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return _Whole(tts=self, input_text=text, conn_options=conn_options)

    @property
    def provider(self) -> str:
        return "offline"

    async def aclose(self) -> None:
        self.is_closed = True

    async def say(self, text: str, emitter: tts.AudioEmitter, said: int) -> int:
        """Say a text's words; return how many were said by now."""
        for word in text.split():
            if said == self.breaks_at:
                if self.error is None:
                    await asyncio.sleep(FOR_EVER)
                else:
                    # What was pushed is on its way by then.
                    await asyncio.sleep(0.05)
                    raise self.error
            await asyncio.sleep(self.pause_s)
            start_s = said * WORD_S
            if self.capabilities.aligned_transcript:
                end_s = start_s + WORD_S
                timed = TimedString(f"{word} ", start_time=start_s, end_time=end_s)
                emitter.push_timed_transcript(timed)
            sample = self.level.to_bytes(2, "little", signed=True)
            emitter.push(sample * round(WORD_S * self.sample_rate))
            emitter.flush()
            said += 1
        return said


class _Streamed(tts.SynthesizeStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        voice, text = self._tts, ""
        assert isinstance(voice, Voice)
        output_emitter.initialize(
            request_id="r",
            sample_rate=voice.sample_rate,
            num_channels=1,
            mime_type="audio/pcm",
            stream=True,
        )
        output_emitter.start_segment(segment_id="s")
        voice.given.append("")
        said = 0
        async for item in self._input_ch:
            if not isinstance(item, str):
                continue
            voice.given[-1] += item
            text += item
            words, space, rest = text.rpartition(" ")
            if space:
                text = rest
                self._mark_started()
                said = await voice.say(words, output_emitter, said)
        self._mark_started()
        await voice.say(text, output_emitter, said)
        output_emitter.end_segment()


class _Whole(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        voice = self._tts
        assert isinstance(voice, Voice)
        voice.given.append(self.input_text)
        output_emitter.initialize(
            request_id="r",
            sample_rate=voice.sample_rate,
            num_channels=1,
            mime_type="audio/pcm",
        )
        await voice.say(self.input_text, output_emitter, 0)


@dataclass
class Said:
    """What came of a line; moments in seconds since it was begun."""

    words: list[tuple[str, float]] = field(default_factory=list)
    pcm: bytes = b""
    first_s: float = 0.0
    ended_s: float = 0.0

    @property
    def text(self) -> str:
        return "".join(word for word, _ in self.words).strip()

    @property
    def duration_s(self) -> float:
        return len(self.pcm) / 2 / RATE_HZ


class Desk:
    """A line-up of voices that is given lines."""

    def __init__(self, *voices: Voice) -> None:
        names = "abc"
        self.line_up: LineUp[tts.TTS[Any]] = LineUp(
            "tts", list(zip(names, voices, strict=False)), cool_down_s=30
        )
        self.told: list[Switched] = []
        self.line_up.listener = self.told.append
        self.parting = Voice()
        self.engine = FallbackTTS(self.line_up, first_audio_s=1.5, parting=self.parting)

    async def say(self, *tokens: str, every_s: float = 0.0) -> Said:
        loop = asyncio.get_running_loop()
        began, said = loop.time(), Said()

        async def write() -> None:
            for token in tokens:
                stream.push_text(token)
                await asyncio.sleep(every_s)
            stream.end_input()

        async with self.engine.stream() as stream:
            writing = asyncio.create_task(write())
            async for audio in stream:
                assert audio.frame.sample_rate == self.engine.sample_rate
                said.first_s = said.first_s or loop.time() - began
                said.pcm += audio.frame.data.tobytes()
                for word in audio.frame.userdata.get(USERDATA_TIMED_TRANSCRIPT, []):
                    said.words.append((str(word), word.end_time))
            await writing
        said.ended_s = loop.time() - began
        return said


@virtual_time
async def test_line_is_said_by_the_first_voice_that_can() -> None:
    desk = Desk(Voice(), Voice())
    said = await desk.say(LINE)
    assert said.text == LINE
    assert said.duration_s == pytest.approx(8 * WORD_S, abs=0.02)
    assert desk.told == []


@virtual_time
async def test_voice_that_breaks_off_is_followed_from_that_word_on() -> None:
    second = Voice(level=2)
    desk = Desk(Voice(3), second)
    said = await desk.say(LINE)
    assert second.given == ["four five six seven eight"]
    assert said.text == LINE
    assert [end for _, end in said.words] == pytest.approx([0.5 * n for n in range(1, 9)], abs=0.02)
    assert said.duration_s == pytest.approx(8 * WORD_S, abs=0.05)
    assert said.pcm.count(b"\x02\x00") == pytest.approx(5 * WORD_S * RATE_HZ, abs=200)
    assert [(each.left, each.taken) for each in desk.told] == [("a", "b")]


@virtual_time
async def test_what_is_written_after_the_break_is_said_by_the_second_voice() -> None:
    second = Voice()
    desk = Desk(Voice(2), second)
    said = await desk.say(*(f"{word} " for word in LINE.split()), every_s=0.1)
    assert said.text == LINE
    assert second.given == ["three four five six seven eight "]


@virtual_time
async def test_silent_voice_is_left_at_the_deadline() -> None:
    desk = Desk(Voice(0, None), Voice())
    said = await desk.say(LINE)
    assert said.text == LINE
    assert said.first_s == pytest.approx(1.5, abs=0.15)
    [told] = desk.told
    assert told.why == "Voice gave no sound for 1.5 s"


@virtual_time
async def test_voice_that_falls_silent_is_left_once_it_owes_too_much() -> None:
    desk = Desk(Voice(2, None), Voice())
    said = await desk.say(LINE)
    assert said.text == LINE
    # One second is being played meanwhile.
    assert said.ended_s == pytest.approx(1.0 + 1.5, abs=0.15)


@virtual_time
async def test_voice_that_drips_is_left_though_each_gap_is_short() -> None:
    desk = Desk(Voice(pause_s=1.2), Voice())
    said = await desk.say(LINE)
    assert said.text == LINE
    assert [told.taken for told in desk.told] == ["b"]


@virtual_time
async def test_slow_writer_is_not_the_voices_fault() -> None:
    desk = Desk(Voice(), Voice())
    said = await desk.say("one ", "two ", "three ", every_s=4.0)
    assert said.text == "one two three"
    assert desk.told == []


@pytest.mark.parametrize("error", [APIStatusError("no", status_code=401), KeyError("audio")])
def test_voice_that_fails_is_left_at_once(error: Exception) -> None:
    @virtual_time
    async def run() -> None:
        desk = Desk(Voice(0, error), Voice())
        said = await desk.say(LINE)
        assert said.text == LINE
        assert said.first_s < 0.2

    run()


@virtual_time
async def test_second_voice_comes_at_the_firsts_rate() -> None:
    desk = Desk(Voice(2), Voice(rate_hz=24_000))
    said = await desk.say(LINE)
    assert said.text == LINE
    assert said.duration_s == pytest.approx(8 * WORD_S, abs=0.06)


@virtual_time
async def test_voice_without_times_is_followed_by_the_share_of_audio() -> None:
    second = Voice(has_times=False)
    desk = Desk(Voice(2, has_times=False), second)
    assert not desk.engine.capabilities.aligned_transcript
    said = await desk.say(LINE)
    # A second of fourteen characters: a word too many rather than one too few.
    assert second.given == ["four five six seven eight"]
    assert said.words == []


@virtual_time
async def test_voice_that_takes_sentences_alone_can_stand_in() -> None:
    second = Voice(streaming=False, has_times=False)
    desk = Desk(Voice(2), second)
    await desk.say(LINE)
    assert second.given == ["three four five six seven eight"]


@virtual_time
async def test_failure_after_the_last_word_is_none() -> None:
    class Tired(Voice):
        async def say(self, text: str, emitter: tts.AudioEmitter, said: int) -> int:
            if (said := await super().say(text, emitter, said)) == len(LINE.split()):
                await asyncio.sleep(0.05)
                raise RESET
            return said

    second = Voice()
    desk = Desk(Tired(), second)
    assert (await desk.say(LINE)).text == LINE
    assert second.given == []


@virtual_time
async def test_line_without_a_sound_in_it_is_no_failure() -> None:
    desk = Desk(Voice(0), Voice(0))
    said = await desk.say("🙂")
    assert said.duration_s < 0.1
    assert desk.told == []


@virtual_time
async def test_last_voice_has_twice_the_time_and_then_all_is_lost() -> None:
    desk = Desk(Voice(0, None), Voice(0, None))
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(EnginesLost, match="Voice gave no sound for 3 s"):
        await desk.say(LINE)
    assert loop.time() - began == pytest.approx(4.5, abs=0.3)


@virtual_time
async def test_rest_of_a_goodbye_is_said_by_the_voice_that_cannot_fail() -> None:
    desk = Desk(Voice(3))
    desk.engine.is_parting = True
    assert (await desk.say(LINE)).text == LINE
    assert desk.parting.given == ["seven eight"], "the first was asked twice"
    assert [each.taken for each in desk.told] == ["a", "offline"]
    assert not desk.engine.is_lost


@virtual_time
async def test_goodbye_in_another_script_is_none_for_an_english_voice() -> None:
    desk = Desk(Voice(0))
    desk.engine.is_parting = True
    with pytest.raises(EnginesLost):
        await desk.say("धन्यवाद")
    assert desk.engine.is_lost
    assert desk.parting.given == []


@pytest.mark.parametrize("count", [1, 2, 3])
def test_no_goodbye_is_waited_for_longer_than_three_seconds(count: int) -> None:
    @virtual_time
    async def run() -> None:
        desk = Desk(*(Voice(0, None) for _ in range(count)))
        desk.engine.is_parting = True
        said = await desk.say(LINE)
        assert (said.text, said.first_s < 2.8) == (LINE, True)

    run()


@virtual_time
async def test_whole_line_is_said_likewise() -> None:
    desk = Desk(Voice(3), Voice())
    async with desk.engine.synthesize(LINE) as stream:
        frame = await stream.collect()
    assert frame.duration == pytest.approx(8 * WORD_S, abs=0.05)


@virtual_time
async def test_all_are_closed() -> None:
    voices = Voice(), Voice()
    await Desk(*voices).engine.aclose()
    assert all(each.is_closed for each in voices)
