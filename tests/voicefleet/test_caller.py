"""`voicefleet.caller`: a scripted caller waits its turn, and says where it got stuck."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from voicefleet.caller import RATE_HZ, SILENCE_S, Caller, CallerStuck, read_wav
from voicefleet.script import HangUp, Interrupt, Pause, Play, Say, Scenario, Step, WaitFor

LOUD = b"\x00\x20" * RATE_HZ


class FakeLine:
    """A line whose time passes only when somebody sleeps; the bot talks by `script`.

    `script` lists, per turn of the caller (the first before any), for how long the bot speaks
    after a second of silence. With `closes`, the bot hangs up two seconds after the last.
    """

    def __init__(self, *script: float, closes: bool = False) -> None:
        self._audio = bytearray()
        self._script = list(script)
        self._closes = closes
        self.now_s = 0.0
        self.is_open = True
        self.said: list[tuple[float, bytes]] = []
        self._answer()

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(0)
        self.now_s += delay_s
        bot_ends_s = len(self._audio) / 2 / RATE_HZ
        if self._closes and not self._script and self.now_s > bot_ends_s + 2:
            self.is_open = False

    async def say(self, pcm: bytes) -> float:
        if not self.is_open:
            raise ConnectionError("the call ended with 1000: bye")
        self.said.append((self.now_s, pcm))
        self.now_s += len(pcm) / 2 / RATE_HZ
        del self._audio[int(self.now_s * RATE_HZ) * 2 :]
        self._answer()
        return self.now_s

    def heard(self) -> bytes:
        return bytes(self._audio[: int(self.now_s * RATE_HZ) * 2])

    async def wait_closed(self, timeout_s: float) -> int:
        if not self._closes:
            raise TimeoutError
        self.is_open = False
        return 1000

    def _answer(self) -> None:
        if self._script:
            silence = bytes(2 * int((self.now_s + 1) * RATE_HZ) - len(self._audio))
            self._audio += silence + LOUD * int(self._script.pop(0))


class FakeBotLines:
    """Matches what it was given, or waits for ever."""

    def __init__(self, *lines: str) -> None:
        self._lines = lines
        self.marks = 0

    def mark(self) -> None:
        self.marks += 1

    async def wait_for_line(self, pattern: str) -> None:
        if pattern not in self._lines:
            await asyncio.Event().wait()


async def play(line: FakeLine, *steps: Step, lines: FakeBotLines | None = None) -> None:
    voice: Callable[[str], bytes] = {"Hello.": LOUD, "Wait!": LOUD}.__getitem__
    caller = Caller(line, lines or FakeBotLines(), voice, line.sleep)
    await caller.play(Scenario(steps=list(steps)))


async def test_caller_speaks_once_the_bot_has_been_silent_for_a_moment() -> None:
    line = FakeLine(2.0, 1.0)
    await play(line, Say(say="Hello."), HangUp())
    spoke_at_s, pcm = line.said[0]
    assert pcm == LOUD
    assert 3.0 + SILENCE_S <= spoke_at_s < 3.0 + SILENCE_S + 0.1


async def test_caller_hears_the_answer_before_the_next_turn() -> None:
    line = FakeLine(1.0, 2.0, 1.0)
    await play(line, Say(say="Hello."), Say(say="Hello."), HangUp())
    first, second = (at_s for at_s, _ in line.said)
    assert second - first >= 1.0 + 1.0 + 2.0 + SILENCE_S
    assert line.now_s - second >= 1.0 + 1.0 + 1.0 + SILENCE_S


async def test_interruption_comes_while_the_bot_speaks() -> None:
    line = FakeLine(5.0, 1.0)
    await play(line, Interrupt(interrupt="Wait!"), HangUp())
    assert 1.0 < line.said[0][0] < 2.0


async def test_hanging_up_after_a_known_line_needs_no_silence() -> None:
    line = FakeLine(5.0)
    lines = FakeBotLines("name")
    await play(line, WaitFor(wait_for="name"), HangUp(), lines=lines)
    assert line.now_s == 0.0


async def test_only_lines_after_the_caller_spoke_count() -> None:
    lines = FakeBotLines()
    await play(FakeLine(1.0, 1.0), Say(say="Hello."), HangUp(), lines=lines)
    assert lines.marks == 1


async def test_script_without_hang_up_lets_the_bot_end_the_call() -> None:
    line = FakeLine(1.0, 1.0, closes=True)
    await play(line, Say(say="Hello."), Pause(pause_s=0.01))
    assert not line.is_open


@pytest.mark.parametrize(
    ("line", "steps", "why"),
    [
        (FakeLine(), [Say(say="Hello.")], r"step 1: the bot said nothing for 20 s"),
        (FakeLine(1.0), [Say(say="Hello."), HangUp()], r"step 2: the bot said nothing"),
        (FakeLine(1.0, closes=True), [Say(say="Hello."), HangUp()], r"step 2: the bot has hung up"),
        (FakeLine(1.0, 1.0), [Say(say="Hello.")], r"step 1: the bot did not hang up"),
        (
            FakeLine(1.0),
            [WaitFor(wait_for="never", timeout_s=0.01)],
            r"step 1: the bot did not say 'never'",
        ),
    ],
)
async def test_caller_says_where_it_is_stuck(line: FakeLine, steps: list[Step], why: str) -> None:
    with pytest.raises(CallerStuck, match=why):
        await play(line, *steps)


async def test_line_that_closes_while_speaking_is_explained() -> None:
    line = FakeLine(1.0)

    async def close_at_once(pcm: bytes) -> float:
        raise ConnectionError("the call ended with 1000: bye")

    line.say = close_at_once  # type: ignore[method-assign]
    with pytest.raises(CallerStuck, match="step 1: the call ended with 1000: bye"):
        await play(line, Say(say="Hello."))


def write_wav(path: Path, *, rate_hz: int = RATE_HZ, channels: int = 1) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(LOUD)


async def test_wav_is_played_as_it_is(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav")
    line = FakeLine(1.0, 1.0)
    await play(line, Play(play=tmp_path / "a.wav"), HangUp())
    assert line.said[0][1] == LOUD


@pytest.mark.parametrize(("rate_hz", "channels"), [(16_000, 1), (8000, 2)])
def test_wav_of_another_format_is_refused(tmp_path: Path, rate_hz: int, channels: int) -> None:
    write_wav(tmp_path / "a.wav", rate_hz=rate_hz, channels=channels)
    with pytest.raises(ValueError, match="a phone needs 1 channel, 16 bit, 8000 Hz"):
        read_wav(tmp_path / "a.wav")
