"""Imports the vendors' plug-ins, for the worker's forkserver alone, by `preload_modules`."""

from __future__ import annotations

from agent.vendor import (
    deepgram,
    elevenlabs,
    flux,
    gemini_live,
    google,
    mcp,
    openai,
    openai_realtime,
    sarvam,
    soniox,
)
from agent.vendor.tls import tls

__all__ = [
    "deepgram",
    "elevenlabs",
    "flux",
    "gemini_live",
    "google",
    "mcp",
    "openai",
    "openai_realtime",
    "sarvam",
    "soniox",
]

tls()
google.warm_up()
