"""`make live`: one real call through each real vendor whose key is in the environment.

Everything else of a call is offline, so what fails is that vendor, or our way to it. Its name does
not begin with `test_`: nothing collects it but who asks for it.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from bridges.phone import Phone
from tests.fakes.vendors.server import VendorServer
from tests.integration.listening import hears, words_in
from tests.integration.platform import Platform, running_platform

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

ON_STAND_INS = os.environ.get("LIVE_ON_STAND_INS", "") == "1"
"""Whether stand-ins take the calls, whatever the keys: that tries the way, not the vendors."""
OPENING = "Hello, this is the booking desk. How can I help you?"
QUESTION = "When is my booking?"
RULES: dict[str, Any] = {
    "provider": "rules",
    "rules": {
        "intents": [
            {"name": "when", "patterns": ["booking"], "say": "Your booking is on Monday."}
        ]
    },
}  # fmt: skip
PROMPT = "You answer the phone of a booking desk. The caller's booking is on Monday. Be brief."


@dataclass(frozen=True, slots=True)
class Live:
    """One vendor, as one part of a bot.

    Attributes:
        key: the environment variable that holds its key.
        kind: which part of the bot it is.
        config: that part, but for the key.
        place: which of the stand-ins takes its place.
    """

    name: str
    key: str
    kind: str
    config: dict[str, Any]
    place: str = ""
    more: dict[str, Any] = field(default_factory=dict)


def vertex() -> dict[str, Any]:
    """Return what only the service account knows."""
    try:
        project = json.loads(os.environ.get("GOOGLE_VERTEX_ACCOUNT", "")).get("project_id", "")
    except ValueError:
        project = "stand-in"
    return {"project_id": project, "location": os.environ.get("GOOGLE_VERTEX_LOCATION", "")}


def named(variable: str, usual: str) -> str:
    return os.environ.get(variable) or usual


VENDORS = (
    Live(
        "deepgram", "DEEPGRAM_API_KEY", "stt",
        {"provider": "deepgram", "model": named("DEEPGRAM_MODEL", "nova-3")}, "deepgram",
    ),
    Live("deepgram-flux", "DEEPGRAM_API_KEY", "stt", {"provider": "deepgram_flux"}, "flux"),
    Live(
        "soniox", "SONIOX_API_KEY", "stt",
        {"provider": "soniox", "model": named("SONIOX_MODEL", "stt-rt-v4")}, "soniox",
    ),
    Live(
        "openai", "OPENAI_API_KEY", "llm",
        {"provider": "openai", "model": named("OPENAI_MODEL", "gpt-4.1-mini")}, "openai",
    ),
    Live(
        "gemini", "GOOGLE_API_KEY", "llm",
        {"provider": "google", "model": named("GOOGLE_MODEL", "gemini-2.5-flash")}, "google",
    ),
    Live(
        "vertex", "GOOGLE_VERTEX_ACCOUNT", "llm",
        {
            "provider": "google_vertex",
            "model": named("GOOGLE_MODEL", "gemini-2.5-flash"),
            "extra": {name: each for name, each in vertex().items() if each},
        },
        "google",
    ),
    Live(
        "elevenlabs", "ELEVEN_API_KEY", "tts",
        {"provider": "elevenlabs", "voice": named("ELEVEN_VOICE", "21m00Tcm4TlvDq8ikWAM")},
        "elevenlabs",
    ),
    Live(
        "sarvam", "SARVAM_API_KEY", "tts",
        {"provider": "sarvam", "language": "en-IN", "voice": named("SARVAM_VOICE", "")}, "sarvam",
    ),
    Live(
        "openai-realtime", "OPENAI_API_KEY", "realtime",
        {"provider": "openai", "model": named("OPENAI_REALTIME_MODEL", "")}, "openai",
        {"runtime_mode": "realtime"},
    ),
    Live(
        "gemini-live", "GOOGLE_API_KEY", "realtime",
        {"provider": "google", "model": named("GOOGLE_LIVE_MODEL", "")}, "google",
        {"runtime_mode": "realtime"},
    ),
)  # fmt: skip


def wanted(vendor: Live) -> Any:
    """Return the vendor as a case that is skipped where its key is missing."""
    is_missing = not os.environ.get(vendor.key) and not ON_STAND_INS
    reason = f"{vendor.key} is not set"
    return pytest.param(vendor, id=vendor.name, marks=pytest.mark.skipif(is_missing, reason=reason))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Platform, VendorServer]]:
    """A fleet, and the stand-ins for when they are wanted."""
    async with (
        VendorServer() as stand_ins,
        running_platform(tmp_path_factory.mktemp("fleet")) as platform,
    ):
        stand_ins.script.transcripts = [QUESTION]
        yield platform, stand_ins


@pytest.mark.parametrize("vendor", [wanted(vendor) for vendor in VENDORS])
async def test_call_is_held_through_the_vendor(
    running: tuple[Platform, VendorServer], vendor: Live
) -> None:
    platform, stand_ins = running
    part = {**vendor.config, "api_key": os.environ.get(vendor.key) or "nobodys-key"}
    if ON_STAND_INS:
        part["base_url"] = getattr(stand_ins, vendor.place)
    part = {name: each for name, each in part.items() if each != ""}
    bot = {
        "system_prompt": PROMPT, "opening_message": OPENING, "llm": RULES,
        vendor.kind: part, **vendor.more,
    }  # fmt: skip
    await platform.save_bot(vendor.name, bot)
    question = platform.voice(QUESTION)
    async with Phone.call(
        platform.stream_url(vendor.name), stream_id=vendor.name, ring_s=3.0
    ) as phone:
        assert await phone.hear(timeout_s=20) is not None, "the opening was not heard"
        await phone.say(question)
        assert await phone.hear(timeout_s=20) is not None, "no answer was heard"
        await asyncio.sleep(0.5)
        await phone.hang_up()
        heard = phone.heard()
    result = await platform.result(vendor.name)
    assert result["disconnected_by"] == "customer", result["events"]
    lines = {
        who: " ".join(line["text"] for line in result["transcript"] if line["speaker"] == who)
        for who in ("bot", "customer")
    }
    assert "booking" in lines["customer"].lower()
    if vendor.kind != "tts" or ON_STAND_INS:
        assert len(lines["bot"]) > len(OPENING)
    else:
        assert hears("this is the booking desk", await words_in(heard))
    assert part["api_key"] not in str(result)
