"""Opening lines kept as audio: the same sound, made once, bounded, and whole or not at all."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from livekit import rtc

from agent.line_cache import LineCache, key_of
from contracts.engines import TtsConfig

RATE_HZ = 24_000
VOICE = TtsConfig(provider="elevenlabs", voice="Rachel", api_key="secret")


class Speaker:
    """Speaks a line as a tenth of a second per letter, and counts."""

    def __init__(self, *, dies_after: int | None = None) -> None:
        self.spoken: list[str] = []
        self._dies_after = dies_after

    async def __call__(self, text: str) -> AsyncIterator[rtc.AudioFrame]:
        self.spoken.append(text)
        for number, letter in enumerate(text):
            if number == self._dies_after:
                raise ConnectionError
            samples = bytes([ord(letter), 0]) * (RATE_HZ // 10)
            yield rtc.AudioFrame(samples, RATE_HZ, 1, RATE_HZ // 10)


async def heard(
    cache: LineCache, speaker: Speaker, text: str = "Hello", voice: TtsConfig = VOICE
) -> bytes:
    frames = [frame async for frame in cache.speak(voice, text, speaker)]
    assert {(frame.sample_rate, frame.num_channels) for frame in frames} == {(RATE_HZ, 1)}
    return b"".join(bytes(frame.data) for frame in frames)


async def test_line_is_made_once_and_sounds_the_same(tmp_path: Path) -> None:
    speaker = Speaker()
    first = await heard(LineCache(tmp_path / "lines", 10**6), speaker)
    again = await heard(LineCache(tmp_path / "lines", 10**6), speaker)
    assert speaker.spoken == ["Hello"]
    assert again == first
    assert len(first) == 2 * 5 * RATE_HZ // 10


async def test_line_that_another_voice_had_to_say_is_not_kept(tmp_path: Path) -> None:
    speaker, cache = Speaker(), LineCache(tmp_path / "lines", 10**6)
    for is_own in (False, True, True):
        spoken = cache.speak(VOICE, "Hello", speaker, lambda own=is_own: own)  # type: ignore[misc]
        assert [frame async for frame in spoken]
    assert speaker.spoken == ["Hello", "Hello"]


def test_fallbacks_are_no_part_of_a_voices_sound() -> None:
    other = TtsConfig(provider="offline", api_key="another")
    both = VOICE.model_copy(update={"fallbacks": [other]})
    assert key_of(both, "Hello") == key_of(VOICE, "Hello")


@pytest.mark.parametrize(
    "other",
    [
        VOICE.model_copy(update={"voice": "Adam"}),
        VOICE.model_copy(update={"model": "fast"}),
        VOICE.model_copy(update={"extra": {"speed": 1.2}}),
        VOICE.model_copy(update={"language": "hi"}),
    ],
)
async def test_another_voice_is_another_line(tmp_path: Path, other: TtsConfig) -> None:
    speaker = Speaker()
    cache = LineCache(tmp_path, 10**6)
    await heard(cache, speaker)
    await heard(cache, speaker, voice=other)
    assert len(speaker.spoken) == 2


def test_key_depends_on_the_words_and_on_no_secret() -> None:
    assert key_of(VOICE, "a") != key_of(VOICE, "b")
    assert key_of(VOICE, "a") != key_of(VOICE, "a", 24_000)
    assert key_of(VOICE, "a") == key_of(VOICE.model_copy(update={"api_key": "other"}), "a")


async def test_line_cut_short_is_not_kept(tmp_path: Path) -> None:
    cache = LineCache(tmp_path, 10**6)
    with pytest.raises(ConnectionError):
        await heard(cache, Speaker(dies_after=3))
    assert list(tmp_path.iterdir()) == []
    stopped = cache.speak(VOICE, "Hello", Speaker())
    await anext(stopped)
    await stopped.aclose()  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []


async def test_least_used_line_goes_first(tmp_path: Path) -> None:
    speaker = Speaker()
    line_bytes = 2 * RATE_HZ // 10 + 44
    cache = LineCache(tmp_path, 2 * line_bytes)
    for at, text in enumerate("ab"):
        await heard(cache, speaker, text)
        os.utime(tmp_path / f"{key_of(VOICE, text)}.wav", (at, at))
    await heard(cache, speaker, "a")
    await heard(cache, speaker, "c")
    kept = {path.stem for path in tmp_path.iterdir()}
    assert kept == {key_of(VOICE, "a"), key_of(VOICE, "c")}


async def test_line_larger_than_all_there_may_be_is_not_kept(tmp_path: Path) -> None:
    await heard(LineCache(tmp_path, 100), Speaker())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "broken",
    [
        lambda _: b"RIFF nonsense",
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-3],
        lambda whole: whole[:22] + b"\2" + whole[23:],  # stereo
        lambda whole: whole[:24] + bytes(4) + whole[28:],  # without a rate
        lambda whole: whole[:16] + b"\xff\xff\xff\x7f" + whole[20:],  # parts of no such size
    ],
)
async def test_file_that_is_broken_is_made_anew(
    tmp_path: Path, broken: Callable[[bytes], bytes]
) -> None:
    speaker = Speaker()
    cache = LineCache(tmp_path, 10**6)
    first = await heard(cache, speaker)
    (path,) = tmp_path.iterdir()
    path.write_bytes(broken(path.read_bytes()))
    assert await cache.kept(VOICE, "Hello") == []
    assert not await cache.has(VOICE, "Hello")
    assert await heard(cache, speaker) == await heard(cache, speaker) == first
    assert len(speaker.spoken) == 2


async def test_what_a_dead_process_left_half_written_goes(tmp_path: Path) -> None:
    for name, at in (("old", 0), ("new", None)):
        part = tmp_path / f"{name}.part"
        part.write_bytes(b"RIFF")
        if at is not None:
            os.utime(part, (at, at))
    await heard(LineCache(tmp_path, 10**6), Speaker())
    assert [path.name for path in tmp_path.glob("*.part")] == ["new.part"]


async def test_folder_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    in_the_way = tmp_path / "lines"
    in_the_way.write_text("a file")
    speaker = Speaker()
    assert await heard(LineCache(in_the_way, 10**6), speaker)
    assert await heard(LineCache(in_the_way, 10**6), speaker)
    assert len(speaker.spoken) == 2


async def test_many_at_once_leave_whole_files(tmp_path: Path) -> None:
    speaker = Speaker()
    sounds = await asyncio.gather(*(heard(LineCache(tmp_path, 10**6), speaker) for _ in range(8)))
    assert len(set(sounds)) == 1
    assert [path.suffix for path in tmp_path.iterdir()] == [".wav"]


def test_nothing_is_kept_where_nothing_may_be(tmp_path: Path) -> None:
    assert not LineCache(tmp_path, 0).is_on
