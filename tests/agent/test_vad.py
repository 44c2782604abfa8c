"""Where a voice begins and ends, by numbers and by ear."""

from __future__ import annotations

from livekit import rtc
from livekit.agents import vad

from agent.vad import WINDOW_S, Edge, PhoneVAD, VoiceEdges
from voicefleet.caller_voice import speak

RATE_HZ = 8000
SILENCE = bytes(RATE_HZ)  # half a second


def _edges() -> VoiceEdges:
    return VoiceEdges(start_s=2 * WINDOW_S, end_s=4 * WINDOW_S, threshold=0.5)


def _steps(edges: VoiceEdges, probabilities: list[float]) -> list[Edge | None]:
    return [edges.step(probability) for probability in probabilities]


def test_voice_starts_only_once_it_has_lasted() -> None:
    edges = _edges()
    assert _steps(edges, [0.9, 0.1, 0.9, 0.9]) == [None, None, None, Edge.STARTED]
    assert edges.speaking
    assert edges.speech_s == 2 * WINDOW_S


def test_voice_ends_only_after_its_silence() -> None:
    edges = _edges()
    _steps(edges, [0.9, 0.9])
    assert _steps(edges, [0.1, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.1]) == [*[None] * 7, Edge.ENDED]
    assert edges.silence_s == 4 * WINDOW_S


def test_fading_voice_still_counts_while_it_goes_on() -> None:
    edges = _edges()
    assert _steps(edges, [0.4, 0.4, 0.9, 0.9])[-1] is Edge.STARTED
    assert _steps(edges, [0.4] * 8) == [None] * 8


def test_speech_duration_includes_its_pauses() -> None:
    edges = _edges()
    _steps(edges, [0.9, 0.9, 0.1, 0.1, 0.9])
    assert edges.speech_s == 5 * WINDOW_S


def test_voice_whose_words_are_known_ends_with_the_first_silence() -> None:
    edges = _edges()
    _steps(edges, [0.9, 0.9])
    edges.is_awaited = True
    assert _steps(edges, [0.1, 0.1]) == [None, Edge.ENDED]


def test_words_that_come_into_a_silence_end_it_at_once() -> None:
    edges = _edges()
    _steps(edges, [0.9, 0.9, 0.1, 0.1, 0.1])
    assert edges.end_if_silent() is None
    edges.is_awaited = True
    assert edges.end_if_silent() is Edge.ENDED
    assert edges.end_if_silent() is None


def test_voice_that_goes_on_after_its_words_ends_as_any_other() -> None:
    edges = _edges()
    _steps(edges, [0.9, 0.9])
    edges.is_awaited = True
    assert _steps(edges, [0.9, 0.1, 0.1, 0.1]) == [None] * 4


async def test_known_words_bring_the_end_forward() -> None:
    detector = PhoneVAD(start_s=0.05, end_s=1.0, threshold=0.5)
    detector.await_end()
    stream = detector.stream()
    _push(stream, SILENCE + speak("How much is a ticket?") + bytes(RATE_HZ // 2))
    detector.await_end()
    stream.end_input()
    events = [event async for event in stream]
    await stream.aclose()
    assert events[-1].type is vad.VADEventType.END_OF_SPEECH
    assert events[-1].silence_duration < 0.3


async def test_spoken_sentence_has_one_beginning_and_one_end() -> None:
    events = await _hear(SILENCE + speak("How much is a ticket?") + SILENCE)
    edges = [event.type for event in events if event.type != vad.VADEventType.INFERENCE_DONE]
    assert edges == [vad.VADEventType.START_OF_SPEECH, vad.VADEventType.END_OF_SPEECH]
    assert events[-1].speech_duration > 0.5
    before_end = events[-2]
    assert before_end.raw_accumulated_silence >= 0.2, "the session must ask the turn model now"
    assert not before_end.speaking


async def test_silence_says_nothing_at_all() -> None:
    assert await _hear(SILENCE * 4) == []


async def test_flush_forgets_a_voice_that_was_going_on() -> None:
    stream = PhoneVAD(start_s=0.05, end_s=0.12, threshold=0.5).stream()
    _push(stream, SILENCE + speak("How much is a ticket?")[: RATE_HZ * 2])
    stream.flush()
    _push(stream, SILENCE)
    stream.end_input()
    kinds = [event.type async for event in stream]
    await stream.aclose()
    assert vad.VADEventType.START_OF_SPEECH in kinds
    assert vad.VADEventType.END_OF_SPEECH not in kinds


async def _hear(pcm: bytes) -> list[vad.VADEvent]:
    stream = PhoneVAD(start_s=0.05, end_s=0.12, threshold=0.5).stream()
    _push(stream, pcm)
    stream.end_input()
    events = [event async for event in stream]
    await stream.aclose()
    return events


def _push(stream: vad.VADStream, pcm: bytes) -> None:
    for start in range(0, len(pcm), 640):
        part = pcm[start : start + 640]
        stream.push_frame(rtc.AudioFrame(part, RATE_HZ, 1, len(part) // 2))
