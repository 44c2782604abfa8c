"""The rules brain on the phone: a menu by keys, a transfer that fails."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from agent.keypad import PAUSE_S
from agent.speech.rules import RulesLLM
from contracts.ids import Channel
from contracts.leg_news import TransferRefused
from contracts.report import TransferStarted
from contracts.rules import RulesConfig
from tests.fakes.engines import ScriptedEngines
from tests.fakes.spoken_call import GREETING, Call, running
from tests.fakes.virtual_time import virtual_time

RULES = {
    "start": "menu",
    "intents": [{"name": "operator", "digits": ["0"], "go": "operator"}],
    "slots": {"pin": {"type": "digits", "prompt": "Your PIN?", "min_digits": 4, "max_digits": 4}},
    "flows": {
        "menu": [{"question": GREETING, "answers": [{"digits": ["1"], "go": "account"}]}],
        "account": [{"ask": "pin"}, {"end": "It is {{slot.pin}}. Goodbye."}],
        "operator": [{"transfer": "asked by key", "say": "One moment."}],
    },
}
DESK = {"id": "desk", "method": "livekit_sip_refer", "value": "+14155550123", "is_default": True}


def ruled(**config: Any) -> Call:
    scripted = ScriptedEngines()
    brain: Any = RulesLLM(
        RulesConfig.model_validate(RULES),
        variables={},
        timezone="UTC",
        now=lambda: datetime(2026, 6, 5, tzinfo=UTC),
    )
    scripted.llm = brain
    return Call(scripted, channel=Channel.SIP, **config)


@virtual_time
async def test_menu_is_walked_by_keys_without_waiting_for_more() -> None:
    async with running(ruled()) as call:
        await call.lines(1)
        pressed_at = call.now()
        call.room.press("1")
        await call.until(lambda: call.room.is_playing)
        assert call.now() - pressed_at < PAUSE_S / 2
        await call.lines(3)
        call.room.press("1234")
        await call.ended()
        assert call.said("bot") == [GREETING, "Your PIN?", "It is 1234. Goodbye."]
        assert call.said("customer") == ["[pressed 1]", "[pressed 1 2 3 4]"]


@virtual_time
async def test_transfer_that_fails_is_said_once_and_the_menu_goes_on() -> None:
    async with running(ruled(transfer_targets=[DESK])) as call:
        await call.lines(1)
        call.room.press("0")
        await call.until(lambda: any(isinstance(fact, TransferStarted) for fact in call.facts))
        call.room.news(TransferRefused(reason="SIP 486"))
        await call.lines(5)
        assert call.said("bot") == [
            GREETING,
            "One moment.",
            "I'm sorry, I could not put you through.",
            "How can I help you?",
        ]
