"""What a caller hears when the platform cannot go on, and when they hear nothing of it."""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path

import numpy as np
import pytest

from bridges.ending import Ending
from bridges.goodbye import RATE_HZ, ClipUnusable, Goodbye, load_clip
from bridges.leg import AgentReplaced, Emit, Offered
from contracts.media import Finished, Speech, SpeechEnd
from contracts.outcome import Reason
from contracts.plan import MediaRate
from contracts.report import LegAnswered
from tests.fakes.leg import AT, FakeLeg
from tests.fakes.virtual_time import virtual_time

CLIP = bytes(2 * RATE_HZ)
LOST = Ending(Reason.AGENT_LOST, AT)
SAID = [AgentReplaced(), Speech(1, CLIP), SpeechEnd(1)]


class Call:
    """A carrier's leg that runs, and what is said on it."""

    def __init__(self, clip: bytes = CLIP) -> None:
        self.carrier = FakeLeg("carrier")
        self.goodbye = Goodbye(clip)
        note: Emit = self.goodbye.note
        self.run = asyncio.create_task(self.carrier.run(note))

    async def say(self, ending: Ending = LOST) -> None:
        await self.goodbye.say(self.carrier, self.run, ending)


@virtual_time
async def test_caller_is_told_to_the_last_word() -> None:
    call = Call()
    call.goodbye.note(LegAnswered(at=AT))
    saying = asyncio.create_task(call.say())
    await asyncio.sleep(0.9)
    assert call.carrier.accepted == SAID
    assert not saying.done()
    call.goodbye.note(Finished(1, RATE_HZ, interrupted=False))
    await saying


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000])
async def test_clip_is_said_at_the_calls_own_rate(rate_hz: MediaRate) -> None:
    call = Call(tone(440, RATE_HZ))
    call.goodbye.note(Offered("1", "2", "incoming", "s", {}, media_rate_hz=rate_hz))
    call.goodbye.note(LegAnswered(at=AT))
    saying = asyncio.create_task(call.say())
    await call.carrier.took(SpeechEnd(1))
    call.goodbye.note(Finished(1, rate_hz, interrupted=False))
    await saying

    speech = call.carrier.accepted[1]
    assert isinstance(speech, Speech)
    heard = np.frombuffer(speech.pcm, np.int16).astype(float)
    wanted = np.frombuffer(tone(440, rate_hz), np.int16)
    assert len(heard) == len(wanted)
    middle = slice(rate_hz // 10, -rate_hz // 10)
    assert np.abs(heard - wanted)[middle].max() < 100


def tone(frequency_hz: int, rate_hz: int) -> bytes:
    at_s = np.arange(rate_hz) / rate_hz
    return (9000 * np.sin(2 * np.pi * frequency_hz * at_s)).astype(np.int16).tobytes()


@virtual_time
async def test_caller_who_hangs_up_is_told_no_more() -> None:
    call = Call()
    call.goodbye.note(LegAnswered(at=AT))
    saying = asyncio.create_task(call.say())
    await asyncio.sleep(0.5)
    call.carrier.end(Reason.CALLER_HUNG_UP)
    await saying
    assert call.run.done()


@virtual_time
async def test_line_that_plays_nothing_is_not_waited_for() -> None:
    call = Call()
    call.goodbye.note(LegAnswered(at=AT))
    began_s = asyncio.get_running_loop().time()
    await call.say()
    assert asyncio.get_running_loop().time() - began_s == pytest.approx(3.0)


@pytest.mark.parametrize(
    "reason", [Reason.CALLER_HUNG_UP, Reason.BOT_ENDED, Reason.MAX_DURATION, Reason.AT_CAPACITY]
)
async def test_ending_that_is_not_our_fault_needs_no_apology(reason: Reason) -> None:
    call = Call()
    call.goodbye.note(LegAnswered(at=AT))
    await call.say(Ending(reason, AT))
    assert call.carrier.accepted == []


async def test_phone_that_still_rings_hears_nothing() -> None:
    call = Call()
    await call.say()
    assert call.carrier.accepted == []


async def test_phone_that_is_gone_hears_nothing() -> None:
    call = Call()
    call.goodbye.note(LegAnswered(at=AT))
    call.carrier.end(Reason.CALLER_HUNG_UP)
    await call.run
    await call.say()
    assert call.carrier.accepted == []


async def test_without_a_clip_nothing_is_said() -> None:
    call = Call(b"")
    call.goodbye.note(LegAnswered(at=AT))
    await call.say()
    assert call.carrier.accepted == []


def test_own_clip_is_a_short_sentence_for_telephones() -> None:
    duration_s = len(load_clip(None)) / 2 / RATE_HZ
    assert 2 < duration_s < 8


def write(path: Path, *, channels: int = 1, rate_hz: int = RATE_HZ, seconds: float = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(bytes(int(seconds * rate_hz) * 2 * channels))
    return path


def test_clip_of_ones_own_is_taken(tmp_path: Path) -> None:
    assert load_clip(write(tmp_path / "clip.wav")) == CLIP


def test_clip_that_does_not_fit_is_refused_with_the_cure(tmp_path: Path) -> None:
    for path in (
        write(tmp_path / "stereo.wav", channels=2),
        write(tmp_path / "wide.wav", rate_hz=16_000),
    ):
        with pytest.raises(ClipUnusable, match="convert it"):
            load_clip(path)
    with pytest.raises(ClipUnusable, match="longer than"):
        load_clip(write(tmp_path / "long.wav", seconds=31))
    with pytest.raises(ClipUnusable, match=r"missing\.wav"):
        load_clip(tmp_path / "missing.wav")
    (tmp_path / "text.wav").write_text("no clip")
    with pytest.raises(ClipUnusable):
        load_clip(tmp_path / "text.wav")
