"""Imports the vendors' plug-ins, for the worker's forkserver alone, by `preload_modules`."""

from __future__ import annotations

from agent.vendor import deepgram, elevenlabs, openai

__all__ = ["deepgram", "elevenlabs", "openai"]

openai.tls()
