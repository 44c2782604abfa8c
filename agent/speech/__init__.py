"""Offline engines as LiveKit plug-ins: Moonshine hears, hibari speaks, rules think."""

from __future__ import annotations

import numpy as np

from agent.speech.moonshine import RATE_HZ, load_moonshine
from agent.speech.voice import load_voice


def rehearse() -> None:
    """Run each engine once in this process: a forked child's first run takes 0.2 s longer."""
    load_moonshine().decode(np.zeros(RATE_HZ, np.float32))
    load_voice().say("Good morning, how can I help you?")


def load() -> None:
    """Load the engines into this process and run each once; a repeated call does nothing.

    About 1 s. Done in the worker's forkserver (`preload_modules=["agent.speech.preload"]`) it costs
    calls nothing: the sessions have one thread, so they work in the forked child, and their weights
    are shared copy-on-write (57 MB of its own per child instead of 100). Such a child must leave by
    `os._exit`, as multiprocessing's do: onnxruntime's clean-up would join a thread it never had.
    """
    model = load_moonshine()
    load_voice()
    model.decode(np.zeros(RATE_HZ, np.float32))
