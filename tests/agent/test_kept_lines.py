"""What a bot says to every caller alike: made once, in some call's spare time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from livekit.agents import APIError

from agent.engines import Engines
from agent.kept_lines import KeptLines
from agent.line_cache import LineCache
from agent.pronounce import Pronunciations
from contracts.outcome import Reason
from contracts.plan import AgentPlan
from contracts.speech import Pronunciation
from tests.fakes.engines import CHARS_PER_S, ScriptedEngines
from tests.fakes.spoken_call import GREETING, Call, plan, running
from tests.fakes.virtual_time import virtual_time

VOICE = {"provider": "elevenlabs", "voice": "Anna"}
APOLOGY = "I'm sorry."
CLOSING = "That is ₹5. Goodbye."


def served(folder: Path, **changes: Any) -> tuple[AgentPlan, ScriptedEngines, Engines, KeptLines]:
    scripted = ScriptedEngines()
    engines = scripted.engines()
    engines.pronunciations = Pronunciations(Pronunciation(), "en-IN")
    made = plan(tts=VOICE).model_copy(
        update={"opening_is_fixed": True, "fixed_lines": [GREETING, APOLOGY, CLOSING], **changes}
    )
    return made, scripted, engines, KeptLines(made, LineCache(folder, 10**7), engines)


async def written(text: str) -> AsyncIterator[str]:
    yield text


async def heard(lines: KeptLines, text: str) -> float:
    """Return how many seconds a line takes."""
    return sum([frame.duration async for frame in lines.speak(text)])


@virtual_time
async def test_lines_are_made_ahead_once_and_one_after_the_other(tmp_path: Path) -> None:
    _, scripted, _, lines = served(tmp_path)
    lines.prepare()
    await asyncio.sleep(5)
    assert scripted.tts.said == []
    await asyncio.sleep(10)
    said = [GREETING, APOLOGY, "That is five rupees. Goodbye."]
    assert scripted.tts.said == said
    await lines.aclose()
    _, later, _, others = served(tmp_path)
    others.prepare()
    await asyncio.sleep(15)
    assert later.tts.said == []
    assert await heard(others, CLOSING) == pytest.approx(len(said[2]) / CHARS_PER_S)
    assert later.tts.said == []


@virtual_time
async def test_spaces_around_a_line_make_no_other_of_it(tmp_path: Path) -> None:
    _, scripted, _, lines = served(tmp_path, fixed_lines=[f" {APOLOGY}\n"])
    await heard(lines, f"{APOLOGY}\n")
    _, kept = await lines.of(written(f"{APOLOGY} "))
    assert kept
    assert scripted.tts.said == [APOLOGY]


@virtual_time
async def test_line_with_words_of_one_caller_is_never_kept(tmp_path: Path) -> None:
    _, scripted, _, lines = served(tmp_path)
    for _ in range(2):
        await heard(lines, "Hello Asha.")
    assert scripted.tts.said == ["Hello Asha.", "Hello Asha."]
    assert list(tmp_path.iterdir()) == []


@virtual_time
async def test_line_is_kept_on_the_word_of_who_asks(tmp_path: Path) -> None:
    _, scripted, _, lines = served(tmp_path)
    for _ in range(2):
        assert [frame async for frame in lines.keep("One moment.")]
    assert scripted.tts.said == ["One moment."]


@virtual_time
async def test_nothing_is_made_ahead_by_a_voice_that_is_not_the_bots_own(tmp_path: Path) -> None:
    _, scripted, engines, lines = served(tmp_path)
    engines.has_changed_voice = True
    lines.prepare()
    await asyncio.sleep(15)
    assert scripted.tts.said == []


@virtual_time
async def test_offline_voice_makes_nothing_ahead(tmp_path: Path) -> None:
    made = plan().model_copy(update={"fixed_lines": [APOLOGY]})
    scripted = ScriptedEngines()
    lines = KeptLines(made, LineCache(tmp_path, 10**7), scripted.engines())
    lines.prepare()
    await asyncio.sleep(15)
    await lines.aclose()
    assert scripted.tts.said == []


@virtual_time
async def test_voice_that_fails_is_not_asked_again(tmp_path: Path) -> None:
    _, scripted, _, lines = served(tmp_path)
    scripted.tts.error = APIError("no voice", retryable=False)
    lines.prepare()
    await asyncio.sleep(30)
    assert scripted.tts.said == [GREETING]
    await lines.aclose()


@virtual_time
async def test_nothing_is_kept_where_that_is_switched_off(tmp_path: Path) -> None:
    scripted = ScriptedEngines()
    made = plan(tts=VOICE).model_copy(update={"fixed_lines": [APOLOGY]})
    lines = KeptLines(made, LineCache(tmp_path, 0), scripted.engines())
    for _ in range(2):
        await heard(lines, APOLOGY)
        assert [frame async for frame in lines.keep(APOLOGY)]
    assert scripted.tts.said == [APOLOGY] * 4


async def test_text_that_is_still_written_is_given_back(tmp_path: Path) -> None:
    async def text() -> AsyncIterator[str]:
        yield "Hello "
        yield "Asha."

    _, _, _, lines = served(tmp_path)
    assert not lines.has_said("s1")
    lines.is_said("s1")
    assert lines.has_said("s1")
    again, frames = await lines.of(text())
    assert [piece async for piece in again] == ["Hello Asha."]
    assert frames == []


@virtual_time
async def test_kept_line_is_said_though_the_voice_has_failed_since(tmp_path: Path) -> None:
    cache = LineCache(tmp_path, 10**7)
    settings: dict[str, Any] = {"tts": VOICE, "closing_message": CLOSING, "dead_air_seconds": 6}
    async with running(Call(ScriptedEngines(), cache=cache, **settings)):
        # Time enough to make them all.
        await asyncio.sleep(8)
    scripted = ScriptedEngines("Yes?")
    async with running(Call(scripted, cache=cache, **settings)) as call:
        await call.lines(1)
        call.caller.say("Hello there")
        await call.lines(3)
        scripted.tts.error = APIError("no voice", retryable=False)
        ending = await call.ended()
        assert ending.reason is Reason.DEAD_AIR
        # As it was written, though it was said in words.
        assert call.said("bot") == [GREETING, "Yes?", CLOSING]
        assert scripted.tts.said == ["Yes?"]


@virtual_time
async def test_figures_are_said_in_words_and_stand_as_written_in_the_transcript() -> None:
    scripted = ScriptedEngines("You owe $500. Shall we say May 5?")
    async with running(Call(scripted)) as call:
        await call.lines(1)
        call.caller.say("How much?")
        await call.lines(3)
        assert call.said("bot")[1] == "You owe $500. Shall we say May 5?"
    assert " ".join(scripted.tts.said[1:]) == (
        "You owe five hundred dollars. Shall we say May fifth?"
    )


@virtual_time
async def test_what_was_heard_of_a_figure_that_was_cut_is_not_made_up() -> None:
    scripted = ScriptedEngines("Fine. Then you still owe us exactly $123,456.78 for all of it.")
    async with running(Call(scripted, min_words_interruption=1)) as call:
        await call.lines(1)
        call.caller.say("How much?")
        await call.until(lambda: len(scripted.tts.said) > 1)
        await asyncio.sleep(2)
        call.caller.say("Stop right there please")
        await call.lines(4)
        heard = call.said("bot")[1]
        assert heard.startswith("Fine. Then you")
        assert "hundred" not in heard
        assert "Fine. Then you still owe us exactly $123,456.78 for all of it.".startswith(heard)
