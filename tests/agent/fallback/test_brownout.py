"""Real plug-ins against two stand-in vendors: the first is struck, the second ends the turn."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.fakes.brownout import FAULTS, LINE, WORDS, Kind, Turn, signs_of_life, turn_at
from tests.fakes.vendors.script import Fault, Vendor

DEADLINE_S = 0.5
SOON: dict[str, Any] = {
    "first_words_s": DEADLINE_S,
    "first_token_s": DEADLINE_S,
    "first_audio_s": DEADLINE_S,
}
SLACK_S = 5.0
"""What a busy machine may take beyond a deadline; whoever is silent here stays so for ever."""


@pytest.mark.parametrize("kind", [Vendor.STT, Vendor.LLM, Vendor.TTS])
async def test_turn_comes_to_its_end_whatever_befalls_the_first(kind: Vendor) -> None:
    turns = await asyncio.gather(*(struck(kind, fault, status) for fault, status in FAULTS))
    for (fault, status), turn in zip(FAULTS, turns, strict=True):
        case = f"{kind} {fault} {status}"
        assert turn.text.strip() == (WORDS if kind is Vendor.STT else LINE), case
        if fault == "drip":
            # Slow, but not so slow that another would be sooner.
            assert turn.switched == [], case
            continue
        [switched] = turn.switched
        assert (switched.kind, switched.left) == (str(kind), switched.taken), case
        assert len(turn.second) == 1, case
        assert not status or f"answered {status}" in switched.why, case
        if fault == "silent":
            assert turn.first_s < DEADLINE_S + SLACK_S, case
        if kind is Vendor.LLM and fault in ("reset", "garbage"):
            [said, asked] = turn.second[0].body["messages"][-2:]
            assert said["role"] == "assistant"
            assert LINE.startswith(said["content"].strip())
            assert "Do not repeat" in asked["content"]
        if kind is Vendor.TTS and fault == "reset":
            told = text_given(turn)
            assert told != LINE
            assert LINE.endswith(told or "nothing")


async def struck(kind: Vendor, fault: Kind, status: int) -> Turn:
    # A brain on a busy machine may be late for such a deadline, and fail otherwise than it should.
    is_waited_for = fault == "silent" or (kind is Vendor.STT and fault != "drip")
    deadlines = SOON if is_waited_for else {}
    return await turn_at(kind, Fault(kind=fault, status=status, after=8), **deadlines)


@pytest.mark.parametrize(
    ("kind", "choice"),
    [
        (Vendor.STT, "deepgram_flux"),
        (Vendor.STT, "soniox"),
        (Vendor.LLM, "google"),
        (Vendor.TTS, "sarvam"),
    ],
)
async def test_any_vendor_can_be_stood_in_for(kind: Vendor, choice: str) -> None:
    faults: list[Kind] = ["silent", "reset"]
    turns = await asyncio.gather(
        *(turn_at(kind, Fault(kind=fault), choice=choice, **SOON) for fault in faults)
    )
    for turn in turns:
        assert turn.switched[0].left.startswith(choice)
        if kind is Vendor.TTS:
            # Sarvam tells no times, so nobody else need.
            assert turn.text == ""
            assert LINE.endswith(text_given(turn) or "nothing")
        else:
            assert turn.text.strip() == (WORDS if kind is Vendor.STT else LINE)


@pytest.mark.parametrize("choice", ["deepgram", "deepgram_flux", "soniox"])
async def test_recogniser_that_finds_no_words_is_told_from_one_that_is_mute(choice: str) -> None:
    sound, silent = await asyncio.gather(
        signs_of_life(choice, None), signs_of_life(choice, Fault(kind="silent"))
    )
    assert sound[0], "it cannot have answered before it heard anything"
    assert not sound[1]
    assert silent == [True, True]


def text_given(turn: Turn) -> str:
    """Return what the second voice was given to say."""
    return "".join(str(each.get("text", "")) for each in turn.second[0].messages).strip()
