"""A first choice of a vendor that is struck, and a second that is sound: what the caller waits.

`python -m tests.fakes.brownout` prints, per kind and fault, the extra wait beside the same turn
with both vendors sound, with the deadlines that bots have by default.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from livekit import rtc
from livekit.agents import llm, stt, utils
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT

from agent.engines import Engines
from agent.fallback.line_up import Switched
from agent.fallback.stt import Acknowledged, FallbackSTT
from agent.providers import build_engines
from contracts.bot import BotConfig
from contracts.ids import Channel
from contracts.plan import AgentPlan
from tests.fakes.vendors.script import Fault, Reply, Vendor, VendorScript
from tests.fakes.vendors.server import VendorServer
from tests.fakes.vendors.tone import tone

RATE_HZ = 8000
LINE = "Your booking is on Monday at half past ten, and nothing else is open on that day."
WORDS = "when is my booking"
VENDORS = {Vendor.STT: "deepgram", Vendor.LLM: "openai", Vendor.TTS: "elevenlabs"}
"""Who stands in, and who is the first choice unless somebody else is named."""
PLACES = {"deepgram_flux": "flux"}
NEEDED: dict[str, dict[str, Any]] = {
    "openai": {"model": "gpt-4.1-mini"},
    "google": {"model": "gemini-2.5-flash"},
    "elevenlabs": {"voice": "anna"},
    "sarvam": {"voice": "anushka"},
}
Kind = Literal["silent", "reset", "http", "garbage", "drip"]
FAULTS: list[tuple[Kind, int]] = [
    ("silent", 0),
    ("reset", 0),
    ("http", 401),
    ("http", 429),
    ("garbage", 0),
    ("drip", 0),
]


@dataclass
class Turn:
    """What came of one turn at one kind of engine.

    Attributes:
        text: what was heard, answered or said.
        first_s: until the first words or sound of it.
        whole_s: until all of it was there, and played.
        switched: who took whose place.
        second: what the second vendor was asked.
    """

    text: str = ""
    first_s: float = 0.0
    whole_s: float = 0.0
    switched: list[Switched] = field(default_factory=list)
    second: list[Any] = field(default_factory=list)


def script() -> VendorScript:
    """Return what the vendors do while they are sound."""
    return VendorScript(
        references=False,
        transcripts=[WORDS],
        replies=[Reply(text=LINE)],
        stt_final_ms=150,
        llm_first_token_ms=50,
        llm_token_ms=5,
        tts_first_audio_ms=50,
        tts_speed=20,
    )


async def turn_at(
    kind: Vendor, fault: Fault | None, *, choice: str = "", **resilience: float
) -> Turn:
    """Have one turn with the first vendor of a kind, `choice` if that is named, struck by a fault.

    `resilience` are the bot's deadlines.
    """
    async with (
        utils.http_context.open(),
        VendorServer(script()) as first,
        VendorServer(script()) as second,
    ):
        if fault is not None:
            first.script.faults = {kind: fault}
        config = {
            **_part(choice or VENDORS[kind], first),
            "fallbacks": [_part(VENDORS[kind], second)],
        }
        plan = _plan({kind: config, "resilience": resilience})
        engines = build_engines(plan, lambda *_: None)
        turn = Turn()
        for line_up in engines.line_ups:
            line_up.listener = turn.switched.append
        try:
            match kind:
                case Vendor.STT:
                    await _hear(engines, turn)
                case Vendor.LLM:
                    await _ask(engines, turn)
                case _:
                    await _say(engines, turn)
        finally:
            await engines.aclose()
        turn.second = second.journal.of(kind)
        return turn


async def signs_of_life(choice: str, fault: Fault | None) -> list[bool]:
    """Return whether a recogniser's stream is mute: once it is connected, and after quiet."""
    async with utils.http_context.open(), VendorServer(script()) as vendor:
        if fault is not None:
            vendor.script.faults = {Vendor.STT: fault}
        engines = build_engines(_plan({"stt": _part(choice, vendor)}), lambda *_: None)
        assert isinstance(engines.stt, FallbackSTT)
        [recogniser] = engines.stt.line_up.engines
        found = []
        async with recogniser.stream() as stream:
            assert isinstance(stream, Acknowledged)
            await _until(lambda: bool(vendor.journal.of(Vendor.STT)))
            found.append(stream.is_mute)
            samples = 2 * RATE_HZ
            stream.push_frame(rtc.AudioFrame(bytes(2 * samples), RATE_HZ, 1, samples))
            await _until(lambda: not stream.is_mute)
            found.append(stream.is_mute)
        await engines.aclose()
        return found


async def _until(happened: Callable[[], bool], within_s: float = 1.0) -> None:
    for _ in range(round(within_s / 0.01)):
        if happened():
            return
        await asyncio.sleep(0.01)


def _part(name: str, vendors: VendorServer) -> dict[str, Any]:
    place = getattr(vendors, PLACES.get(name, name))
    return {"provider": name, "api_key": "key", "base_url": place, **NEEDED.get(name, {})}


def _plan(config: dict[str, Any]) -> AgentPlan:
    return AgentPlan(
        call_id="c",
        session_id="c",
        incarnation=1,
        channel=Channel.WEBSOCKET,
        call_direction="incoming",
        caller_identity="caller-c",
        media_rate_hz=RATE_HZ,
        config=BotConfig.model_validate(config),
    )


async def _hear(engines: Engines, turn: Turn) -> None:
    """Speak for half a second on a line that goes on in quiet, as telephone lines do."""
    assert engines.stt is not None
    async with engines.stt.stream() as stream:

        async def play(pcm: bytes) -> None:
            for start in range(0, len(pcm), 320):
                piece = pcm[start : start + 320]
                stream.push_frame(rtc.AudioFrame(piece, RATE_HZ, 1, len(piece) // 2))
                await asyncio.sleep(0.02)

        async def go_on() -> None:
            while True:
                await play(bytes(320))

        await play(bytes(320) * 10)
        engines.voice(True)
        await play(tone(440.0, 0.5, RATE_HZ).tobytes())
        began = time.monotonic()
        quiet = asyncio.create_task(go_on())
        asyncio.get_running_loop().call_later(0.12, engines.voice, False)
        async for event in stream:
            if event.type is stt.SpeechEventType.FINAL_TRANSCRIPT and event.alternatives[0].text:
                turn.text = event.alternatives[0].text
                break
        turn.first_s = turn.whole_s = time.monotonic() - began
        quiet.cancel()


async def _ask(engines: Engines, turn: Turn) -> None:
    assert isinstance(engines.llm, llm.LLM)
    context = llm.ChatContext.empty()
    context.add_message(role="system", content="You are brief.")
    context.add_message(role="user", content=WORDS)
    began = time.monotonic()
    async with engines.llm.chat(chat_ctx=context) as stream:
        async for chunk in stream:
            if chunk.delta is not None and chunk.delta.content:
                turn.first_s = turn.first_s or time.monotonic() - began
                turn.text += chunk.delta.content
    turn.whole_s = time.monotonic() - began


async def _say(engines: Engines, turn: Turn) -> None:
    assert engines.tts is not None
    began, played_until = time.monotonic(), 0.0
    async with engines.tts.stream() as stream:
        stream.push_text(LINE)
        stream.end_input()
        async for audio in stream:
            now = time.monotonic() - began
            turn.first_s = turn.first_s or now
            played_until = max(played_until, now) + audio.frame.duration
            turn.text += "".join(audio.frame.userdata.get(USERDATA_TIMED_TRANSCRIPT) or [])
    turn.whole_s = played_until


async def _measure() -> None:
    for kind in VENDORS:
        await turn_at(kind, None)  # whatever is imported or loaded but once
        sound = await turn_at(kind, None)
        for fault, status in FAULTS:
            turn = await turn_at(kind, Fault(kind=fault, status=status, after=8))
            extra = [turn.first_s - sound.first_s, turn.whole_s - sound.whole_s]
            name = f"{kind} {fault} {status or ''}"
            told = turn.switched[0].why if turn.switched else "stays"
            sys.stdout.write(f"{name:16} first {extra[0]:6.2f} whole {extra[1]:6.2f} s  {told}\n")


if __name__ == "__main__":
    asyncio.run(_measure())
