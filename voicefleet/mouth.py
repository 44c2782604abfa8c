"""What a scripted caller says, as audio: made before the call, since making it takes time."""

from __future__ import annotations

import asyncio
from pathlib import Path

from voicefleet.script import Interrupt, Say, Scenario


async def audio_of(scenario: Scenario, cache: Path) -> dict[str, bytes]:
    """Return every spoken line of a scenario as PCM, by its text; `cache` keeps them."""
    said = [step.say for step in scenario.steps if isinstance(step, Say)]
    said += [step.interrupt for step in scenario.steps if isinstance(step, Interrupt)]
    return await asyncio.to_thread(_made, said, cache)


def _made(lines: list[str], cache: Path) -> dict[str, bytes]:
    # Imported where it is needed: the voice takes half a second to load, which a platform that is
    # starting, or a command that only lists something, need not wait for.
    from voicefleet.caller_voice import speak

    return {line: speak(line, cache_path=cache) for line in lines}
