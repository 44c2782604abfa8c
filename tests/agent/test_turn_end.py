"""The turn model's looks: when they are taken, what convinces, what takes the question back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from livekit import rtc
from livekit.agents import inference
from livekit.agents.language import LanguageCode
from livekit.agents.voice.turn import TurnDetectionEvent
from livekit.local_inference import EOT_MAX_SAMPLES

from agent.turn_end import LOOKS, Pcm, TurnEnd, TurnEndStream
from voicefleet.caller_voice import speak

RATE_HZ = 8000
CONVINCED = LOOKS[0][1]
LATER_LOOKS_S = [after_s for after_s, _ in LOOKS[1:]]
FRAME_S = 0.04


class Model:
    """Answers by a list; the last answer stands."""

    def __init__(self, *answers: float | Exception) -> None:
        self.answers = list(answers)
        self.seen: list[Pcm] = []
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()

    def judge(self, pcm: Pcm) -> float:
        self.seen.append(pcm)
        self._loop.call_soon_threadsafe(self._news.set)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def looked(self, times: int) -> None:
        while len(self.seen) < times:
            self._news.clear()
            await self._news.wait()


@pytest.fixture
def thresholds() -> inference.TurnDetector:
    return inference.TurnDetector(version="v1-mini")


@pytest.fixture
async def threshold(thresholds: inference.TurnDetector) -> float:
    return await thresholds.unlikely_threshold(LanguageCode("en")) or 0.0


async def test_first_look_decides_when_convinced(
    thresholds: inference.TurnDetector, threshold: float
) -> None:
    model = Model(CONVINCED * threshold + 0.01)
    answer = await _stream(thresholds, model.judge).predict()
    assert answer.end_of_turn_probability > threshold
    assert len(model.seen) == 1


async def test_doubt_is_settled_by_a_later_look(
    thresholds: inference.TurnDetector, threshold: float
) -> None:
    model = Model(threshold + 0.01)
    stream = _stream(thresholds, model.judge)
    asked = stream.predict()
    await model.looked(1)
    await _quiet(stream, LATER_LOOKS_S[0] - FRAME_S)
    assert len(model.seen) == 1
    assert not asked.done()
    await _quiet(stream, 2 * FRAME_S)
    assert (await asked).end_of_turn_probability > threshold
    assert len(model.seen) == 2


async def test_unfinished_turn_is_a_no_after_the_last_look(
    thresholds: inference.TurnDetector, threshold: float
) -> None:
    model = Model(threshold / 2)
    stream = _stream(thresholds, model.judge)
    asked = stream.predict()
    for look, (began_s, due_s) in enumerate(pairwise((0.0, *LATER_LOOKS_S))):
        await model.looked(look + 1)
        assert not asked.done()
        await _quiet(stream, due_s - began_s + FRAME_S)
    assert (await asked).end_of_turn_probability < threshold
    assert len(model.seen) == 1 + len(LATER_LOOKS_S)


async def test_voice_that_comes_back_takes_the_question_back(
    thresholds: inference.TurnDetector, threshold: float
) -> None:
    model = Model(threshold / 2)
    stream = _stream(thresholds, model.judge)
    asked = stream.predict()
    await model.looked(1)
    stream.cancel_inference()
    assert (await asked).end_of_turn_probability == 0.0
    await _quiet(stream, 1.0)
    assert len(model.seen) == 1


async def test_words_that_must_go_on_outweigh_the_model(
    thresholds: inference.TurnDetector,
) -> None:
    model = Model(1.0)
    stream = _stream(thresholds, model.judge)
    stream.heard("I would like to book a")
    asked = stream.predict()
    await model.looked(1)
    await _quiet(stream, LATER_LOOKS_S[-1] + FRAME_S)
    assert (await asked).end_of_turn_probability == 0.0
    assert len(model.seen) == 1 + len(LATER_LOOKS_S)


async def test_words_that_come_after_the_answer_take_it_back(
    thresholds: inference.TurnDetector,
) -> None:
    stream = _stream(thresholds, Model(1.0).judge)
    answer = await stream.predict()
    stream.heard("I would like to book a")
    assert answer.end_of_turn_probability == 0.0


async def test_words_before_the_voice_came_back_no_longer_count(
    thresholds: inference.TurnDetector,
) -> None:
    stream = _stream(thresholds, Model(1.0).judge)
    stream.heard("I would like to book a")
    stream.cancel_inference()
    assert (await stream.predict()).end_of_turn_probability == 1.0


async def test_model_that_fails_counts_as_a_yes(thresholds: inference.TurnDetector) -> None:
    stream = _stream(thresholds, Model(RuntimeError("broken")).judge)
    assert (await stream.predict()).end_of_turn_probability == 1.0


async def test_model_sees_the_newest_audio_at_its_own_rate(
    thresholds: inference.TurnDetector,
) -> None:
    model = Model(1.0)
    stream = TurnEndStream(thresholds, model.judge)
    _push(stream, bytes(2 * RATE_HZ * 4))
    _push(stream, np.full(RATE_HZ // 10, 1000, np.int16).tobytes())
    await stream.predict()
    (pcm,) = model.seen
    assert abs(len(pcm) - EOT_MAX_SAMPLES) < 400
    assert abs(int(pcm[-400]) - 1000) < 50
    assert abs(int(pcm[400])) < 50


async def test_flush_forgets_the_turn_before(thresholds: inference.TurnDetector) -> None:
    model = Model(1.0)
    stream = _stream(thresholds, model.judge)
    stream.flush("turn committed")
    await stream.predict()
    assert not len(model.seen[0])


async def test_bundled_model_finds_a_finished_question_finished() -> None:
    stream = TurnEnd().stream()
    _push(stream, speak("When are you open?") + bytes(2 * RATE_HZ // 5))
    answer: TurnDetectionEvent = await stream.predict()
    limit = await stream.unlikely_threshold(LanguageCode("en"))
    assert limit is not None
    assert answer.end_of_turn_probability > limit
    await stream.aclose()


def _stream(thresholds: inference.TurnDetector, judge: Callable[[Pcm], float]) -> TurnEndStream:
    stream = TurnEndStream(thresholds, judge)
    _push(stream, bytes(2 * RATE_HZ))
    return stream


async def _quiet(stream: TurnEndStream, duration_s: float) -> None:
    for _ in range(round(duration_s / FRAME_S)):
        _push(stream, bytes(int(2 * RATE_HZ * FRAME_S)))
        await asyncio.sleep(0)


def _push(stream: TurnEndStream, pcm: bytes) -> None:
    stream.push_audio(rtc.AudioFrame(pcm, RATE_HZ, 1, len(pcm) // 2))
