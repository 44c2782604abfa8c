"""`python -m bench.wer`: what the telephone's way costs the recogniser, in words.

Sentences are said into real calls: by a phone over its 8 kHz socket, through bridge and room to the
agent. What the agent was given, by its recording, is put to the recogniser, and so is the very same
audio as it was before the call.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from rich.console import Console
from rich.table import Table

from agent.speech.moonshine import load_moonshine
from agent.speech.spoken import spoken
from agent.turn_end import at_model_rate
from bench.fleet import new_fleet, save_bot
from bench.machine import ROOT, keep
from bench.sentences import SENTENCES
from bridges.audio.g711 import MU_LAW
from bridges.audio.waveform import loud_spans
from bridges.phone import Phone
from contracts.wav import HEADER_BYTES
from tests.fakes.vendors.script import Reply, VendorScript
from tests.fakes.vendors.server import VendorServer
from voicefleet.caller_voice import speak
from voicefleet.fleet import Fleet
from voicefleet.runner import Runner

RATE_HZ = 8000
PAUSE_S = 1.2
"""Longer than any pause within a sentence, so that each is found again."""
_MARGIN_S = 0.25
BOT_ID = "listener"


@dataclass(frozen=True, slots=True)
class Heard:
    """What a recogniser made of a sentence, before the call and after it."""

    sentence: str
    direct: str
    called: str
    is_exact: bool
    """Whether every sample came through as it was."""


def bot(openai_url: str) -> dict[str, Any]:
    """Return a bot that hears everything out, and ends no call whatever it hears."""
    return {
        "bot_id": BOT_ID,
        "stream_anonymous": True,
        "no_response_seconds": 300,
        "dead_air_seconds": 300,
        "end_call_enabled": False,
        "manners": {"closure": {"bot_enabled": False}},
        "llm": {"provider": "openai", "api_key": "k", "model": "any", "base_url": openai_url},
    }


def listener() -> VendorServer:
    """Return the brain of that bot."""
    return VendorServer(VendorScript(replies=[Reply(text="Go on.")]))


def errors(said: str, heard: str) -> tuple[int, int]:
    """Return how many words were added, lost or mistaken, and how many were said."""
    reference, guess = _words(said), _words(heard)
    row = list(range(len(guess) + 1))
    for at, word in enumerate(reference, 1):
        last, row[0] = row[0], at
        for to, other in enumerate(guess, 1):
            change = last + (word != other)
            last, row[to] = row[to], min(change, row[to] + 1, row[to - 1] + 1)
    return row[-1], len(reference)


def wer(pairs: Sequence[tuple[str, str]]) -> float:
    """Return the word error rate of `(said, heard)`, in per cent."""
    counted = [errors(said, heard) for said, heard in pairs]
    return 100 * sum(wrong for wrong, _ in counted) / sum(count for _, count in counted)


def voice(sentence: str) -> bytes:
    """Return a sentence as a telephone hears it: 8 kHz, through G.711."""
    pcm = speak(sentence, RATE_HZ, cache_path=ROOT / ".voicefleet" / "caller")
    return MU_LAW.decode(MU_LAW.encode(pcm))


def recognise(pcm: bytes) -> str:
    """Return what the offline recogniser makes of one sentence."""
    quiet = bytes(2 * round(_MARGIN_S * RATE_HZ))
    samples = at_model_rate(quiet + pcm + quiet, RATE_HZ).astype(np.float32) / np.float32(32_768)
    return load_moonshine().decode(samples).text


async def say_all(url: str, stream_id: str, sentences: Sequence[str]) -> None:
    """Say sentences into a call, one after the other, whatever the bot says to them."""
    voices = [voice(sentence) for sentence in sentences]
    async with Phone.call(url, stream_id=stream_id, ring_s=2.0) as phone:
        await asyncio.sleep(PAUSE_S)
        for pcm in voices:
            await phone.say(pcm)
            await asyncio.sleep(PAUSE_S)


def caller_in(recording: bytes) -> bytes:
    """Return what was heard of the caller, as PCM16."""
    return np.frombuffer(recording[HEADER_BYTES:], "<i2").reshape(-1, 2)[:, 0].tobytes()


def compared(sentences: Sequence[str], recording: bytes) -> list[Heard]:
    """Return what was recognised of each sentence of a call.

    Raises:
        ValueError: the recording does not hold as many sentences as were said.
    """
    caller = caller_in(recording)
    spans = loud_spans(caller, rate_hz=RATE_HZ, join_s=PAUSE_S * 0.75)
    if len(spans) != len(sentences):
        raise ValueError(f"{len(sentences)} sentences were said, {len(spans)} are there")
    pieces = []
    for span in spans:
        start = max(0, round((span.start_s - 0.1) * RATE_HZ))
        pieces.append(caller[2 * start : 2 * round((span.end_s + 0.1) * RATE_HZ)])
    return [
        Heard(sentence, recognise(said), recognise(piece), said in caller)
        for sentence, said, piece in zip(sentences, map(voice, sentences), pieces, strict=True)
    ]


async def measure(calls: int) -> list[Heard]:
    """Say all sentences in so many calls at a time."""
    parts = [SENTENCES[at::calls] for at in range(calls)]
    with tempfile.TemporaryDirectory(prefix="voicefleet-bench-") as folder:
        fleet = new_fleet(Path(folder), {**os.environ, "MAX_CONCURRENT_CALLS": str(calls)})
        lines: list[str] = []
        runner = Runner(lambda _part, line: lines.append(line), restart=False)
        try:
            async with listener() as brain:
                await fleet.start(runner)
                await save_bot(fleet, bot(brain.openai))
                url = f"{fleet.bridge_url}/ws/{BOT_ID}"
                names = [f"wer-{number}" for number in range(calls)]
                await asyncio.gather(
                    *(say_all(url, name, part) for name, part in zip(names, parts, strict=True))
                )
                recordings = await _recordings(fleet, names)
        except ConnectionError:
            sys.stderr.write("\n".join(lines[-30:]) + "\n")
            raise
        finally:
            await runner.stop()
    return [
        heard
        for part, recording in zip(parts, recordings, strict=True)
        for heard in compared(part, recording)
    ]


async def _recordings(fleet: Fleet, stream_ids: Sequence[str]) -> list[bytes]:
    headers = {
        "X-API-Key": fleet.environ["ADMIN_API_KEY"],
        "X-VoxCore-Secret": fleet.environ["VOXCORE_SECRET"],
    }
    async with (
        httpx.AsyncClient(base_url=fleet.sidecar_url, headers=headers, trust_env=False) as api,
        asyncio.timeout(60),
    ):
        rows = (await api.get("/api/v1/calls")).raise_for_status().json()["calls"]
        sessions = {row["stream_id"]: row["session_id"] for row in rows}
        found = []
        for stream_id in stream_ids:
            path = f"/recordings/{sessions[stream_id]}.wav"
            while (answer := await api.get(path)).status_code == 404:  # noqa: ASYNC110 - polled
                await asyncio.sleep(0.2)
            found.append(answer.raise_for_status().content)
    return found


def show(console: Console, heard: Sequence[Heard]) -> dict[str, Any]:
    """Print the table; return what is kept."""
    rates = {
        "direct": wer([(each.sentence, each.direct) for each in heard]),
        "through a call": wer([(each.sentence, each.called) for each in heard]),
    }
    table = Table("the same audio", "sentences", "words", "word errors")
    words = sum(errors(each.sentence, "")[1] for each in heard)
    for name, rate in rates.items():
        table.add_row(name, str(len(heard)), str(words), f"{rate:.2f} %")
    console.print(table)
    exact = sum(each.is_exact for each in heard)
    console.print(f"{exact} of {len(heard)} sentences came through sample by sample")
    for each in heard:
        if _words(each.direct) != _words(each.called):
            console.print(f"{each.sentence} | {each.direct} | {each.called}", style="dim")
    return {
        "word_error_rates": rates,
        "sentences": [[each.sentence, each.direct, each.called] for each in heard],
    }


def _words(text: str) -> list[str]:
    plain = spoken(text).lower().replace("-", " ")
    return "".join(char if char.isalnum() else " " for char in plain.replace("'", "")).split()


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2, help="calls at a time")
    console = Console(width=100)
    heard = asyncio.run(measure(parser.parse_args().calls))
    path = keep("wer", show(console, heard))
    console.print(f"Raw: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
