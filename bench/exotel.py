"""Exotel's door on a fleet of its own, by chunk size: from the waveform as the phone plays it."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.call import BOT, CONFIG, QUESTIONS
from bench.figure import Figure, figure
from bench.fleet import new_fleet, save_bot
from bench.machine import ROOT
from bridges.exotel_softphone import ExotelSoftphone
from bridges.handset import Handset
from voicefleet.caller_voice import speak
from voicefleet.runner import Runner

CHUNKS = (3200, 320)
TALK_BEFORE_BARGE_IN_S = 0.8
PROTEST = "Sorry, I have another question."


async def bench_exotel(calls: int, detector: str, console: Console) -> dict[str, Any]:
    """Hold so many calls with each chunk size at 8 kHz; return what `bench/out/exotel.json` has."""
    figures: list[Figure] = []
    underruns = 0
    said = {
        text: speak(text, cache_path=ROOT / ".voicefleet" / "caller")
        for text in (*QUESTIONS, PROTEST)
    }
    with tempfile.TemporaryDirectory(prefix="voicefleet-bench-") as folder:
        fleet = new_fleet(Path(folder), os.environ)
        runner = Runner(lambda _part, _line: None, restart=False)
        try:
            with console.status("Starting a fleet …"):
                await fleet.start(runner)
            for size in CHUNKS:
                config = {**CONFIG, "turn": {"detector": detector}, "exotel_chunk_bytes": size}
                bot_id = f"{BOT}-{size}"
                await save_bot(fleet, {**config, "bot_id": bot_id})
                greeting_ms, turn_ms, barge_in_ms = [], [], []
                with console.status(f"Calling, {size} bytes a chunk …"):
                    for number in range(calls):
                        async with ExotelSoftphone.call(
                            f"{fleet.bridge_url}/exotel/{bot_id}",
                            stream_id=f"exotel-{size}-{number}",
                            min_chunk_bytes=size,
                        ) as phone:
                            greeting_ms.append(1000 * await phone.wait_for_audio())
                            await _converse(phone, said)
                            waits, cut = _measure(phone)
                            turn_ms += waits
                            barge_in_ms += cut
                            underruns += phone.underruns
                            if phone.broken:
                                raise RuntimeError(f"the stream was ended: {phone.broken}")
                figures += [
                    figure(f"{size} B: answer to greeting", "ms", greeting_ms),
                    figure(f"{size} B: mouth to ear", "ms", turn_ms),
                    figure(f"{size} B: barge-in", "ms", barge_in_ms),
                ]
        finally:
            with console.status("Ending …"):
                await runner.stop()
    return {
        "calls": calls,
        "turn_detector": detector,
        "figures": [each.to_json() for each in figures],
        "underruns": underruns,
    }


async def _converse(phone: Handset, said: dict[str, bytes]) -> None:
    """Ask every question, and talk over the last answer."""
    await phone.hear()
    for question in QUESTIONS:
        asked_s = await phone.say(said[question])
        while phone.loud_until_s <= asked_s:  # noqa: ASYNC110 - sound is not an event
            await asyncio.sleep(0.02)
        if question != QUESTIONS[-1]:
            await phone.hear()
    await asyncio.sleep(TALK_BEFORE_BARGE_IN_S)
    await phone.say(said[PROTEST])
    await phone.hear()


def _measure(phone: Handset) -> tuple[list[float], list[float]]:
    """Return how long each answer took to begin, and the last one to be cut, in ms."""
    *questions, protest = phone.caller_audio_segments()
    heard = phone.bot_audio_segments()
    waits = [
        1000 * (min(span.start_s for span in heard if span.start_s > asked.end_s) - asked.end_s)
        for asked in questions
    ]
    cut = [span for span in heard if span.start_s < protest.start_s < span.end_s]
    return waits, [1000 * (span.end_s - protest.start_s) for span in cut]
