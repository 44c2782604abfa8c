"""A bot on the three vendors, and what is read from its calls' results."""

from __future__ import annotations

from typing import Any

from tests.fakes.vendors.server import VendorServer

KINDS = ("stt", "llm", "tts", "realtime")
KEYS = {kind: f"{kind}-key-which-nobody-may-see" for kind in KINDS}


def bot(vendors: VendorServer, **config: Any) -> dict[str, Any]:
    return {
        "system_prompt": "You are brief.",
        "opening_message": "Hello, this is the booking desk. How can I help you?",
        "stt": {"provider": "deepgram", "api_key": KEYS["stt"], "base_url": vendors.deepgram},
        "llm": {
            "provider": "openai",
            "api_key": KEYS["llm"],
            "base_url": vendors.openai,
            "model": "gpt-4.1-mini",
            "extra": {"top_p": 0.9},
        },
        "tts": {
            "provider": "elevenlabs",
            "api_key": KEYS["tts"],
            "base_url": vendors.elevenlabs,
            "voice": "anna",
        },
        # The stand-ins tell turns apart by references such as "R1 T2".
        "pronunciation": {"numbers": False},
        **config,
    }


def gemini(vendors: VendorServer) -> dict[str, Any]:
    """Return what makes a bot think with Gemini, which was to keep its prompt, and has not."""
    return {
        "llm": {
            "provider": "google",
            "api_key": KEYS["llm"],
            "base_url": vendors.google,
            "model": "gemini-2.5-flash",
        },
        "prompt_parts": {
            "mode": "direct",
            "cache_enabled": True,
            "static_system_prompt": "You are brief.",
            "cached_content": "cachedContents/gone",
        },
    }


def realtime_bot(vendors: VendorServer, provider: str, **config: Any) -> dict[str, Any]:
    """Return a bot that a realtime model talks for; the offline engines hear and speak beside."""
    chosen = {
        "provider": provider,
        "api_key": KEYS["realtime"],
        "base_url": getattr(vendors, provider),
    }
    return {
        "system_prompt": "You are brief.",
        "opening_message": "Hello, this is the booking desk. How can I help you?",
        "runtime_mode": "realtime",
        "realtime": chosen,
        **config,
    }


def said(result: dict[str, Any], speaker: str) -> list[str]:
    return [line["text"] for line in result["transcript"] if line["speaker"] == speaker]
