"""Loads the offline engines on import: for the worker's forkserver alone, by `preload_modules`."""

from __future__ import annotations

from agent.speech import load

load()
