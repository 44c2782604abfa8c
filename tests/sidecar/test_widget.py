"""Who may open a bot's widget, and what they may tell it."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.bot import BotConfig
from sidecar.configure import ConfigQuery
from sidecar.denial import Code, Denied
from sidecar.widget import MAX_FACTS, Knock, WidgetDoor, is_allowed, told
from tests.fakes.control_plane import FakeClock

SHOP = "https://shop.example"


class OneBot:
    """A source of one bot's config.

    Attributes:
        asked: how often it was asked.
    """

    is_per_call = False
    url = ""
    results_url = ""

    def __init__(self, **config: Any) -> None:
        self._config = BotConfig.model_validate({"widget_api_key": "k", **config})
        self.asked = 0

    async def fetch(self, query: ConfigQuery) -> BotConfig:
        self.asked += 1
        if query.bot_id != "desk":
            raise Denied(Code.BOT_UNKNOWN, "no")
        return self._config


def door(source: OneBot, *, per_address: int = 10, per_bot: int = 10) -> WidgetDoor:
    return WidgetDoor(source, per_address=per_address, per_bot=per_bot, clock=FakeClock())


def knock(**changes: str) -> Knock:
    return Knock(**{"bot_id": "desk", "key": "k", "origin": SHOP, "address": "192.0.2.7"} | changes)


async def denied(of: WidgetDoor, **changes: str) -> Denied:
    with pytest.raises(Denied) as caught:
        await of.admit("default", knock(**changes))
    return caught.value


async def test_visitor_with_the_widgets_key_is_let_in() -> None:
    config = await door(OneBot(widget_allowed_origins=[SHOP])).admit("default", knock())
    assert config.widget_allowed_origins == [SHOP]


@pytest.mark.parametrize("key", ["", "K", "k "])
async def test_other_keys_are_refused(key: str) -> None:
    assert (await denied(door(OneBot()), key=key)).code is Code.KEY_INVALID


@pytest.mark.parametrize("key", ["", "k"])
async def test_bot_without_a_key_has_no_widget(key: str) -> None:
    assert (await denied(door(OneBot(widget_api_key="")), key=key)).code is Code.KEY_INVALID


async def test_unknown_bot_is_told_as_such() -> None:
    assert (await denied(door(OneBot()), bot_id="other")).code is Code.BOT_UNKNOWN


async def test_page_that_may_not_have_the_widget_is_refused() -> None:
    shop = door(OneBot(widget_allowed_origins=[SHOP]))
    assert (await denied(shop, origin="https://evil.example")).code is Code.ORIGIN_REFUSED
    assert (await denied(shop, origin="")).code is Code.ORIGIN_REFUSED


async def test_address_that_asks_too_often_waits_whatever_it_shows() -> None:
    source = OneBot()
    guessing = door(source, per_address=2)
    for _ in range(2):
        await denied(guessing, key="guess")
    refused = await denied(guessing)
    assert (refused.code, refused.retry_after_s, source.asked) == (Code.TOO_MANY, 30, 2)
    await guessing.admit("default", knock(address="192.0.2.8"))


async def test_bot_that_is_asked_for_too_often_is_spared() -> None:
    crowded = door(OneBot(), per_bot=1)
    # What a stranger without the key asks does not count for the bot.
    await denied(crowded, key="guess", address="192.0.2.1")
    await crowded.admit("default", knock(address="192.0.2.2"))
    refused = await denied(crowded, address="192.0.2.3")
    assert (refused.code, refused.retry_after_s) == (Code.TOO_MANY, 60)


@pytest.mark.parametrize(
    ("origin", "allowed", "is_fine"),
    [
        ("https://anywhere.example", [], True),
        ("", [], True),
        (SHOP, [SHOP], True),
        ("http://shop.example", [SHOP], False),
        ("https://shop.example:8443", [SHOP], False),
        ("https://shop.example.evil.example", [SHOP], False),
        ("https://a.example.com", ["*.example.com"], True),
        ("https://a.b.example.com:8443", ["*.example.com"], True),
        ("https://example.com", ["*.example.com"], False),
        ("https://evilexample.com", ["*.example.com"], False),
        ("http://a.example.com", ["*.example.com"], False),
        ("null", ["*.example.com"], False),
        ("https://[", ["*.example.com"], False),
        ("https://a.example.com", [SHOP, "*.example.com"], True),
    ],
)
def test_origins(origin: str, allowed: list[str], is_fine: bool) -> None:
    assert is_allowed(origin, allowed) is is_fine


def test_visitor_tells_facts_and_steers_nothing() -> None:
    said = {
        "name": "Sam",
        "cart": {"items": 2},
        "_campaign_session_id": "mine",
        "_skip_prefetch": True,
        "sip_candidate_headers": {"X-Vip": "1"},
    }
    assert told(said) == {"name": "Sam", "cart": {"items": 2}}


def test_visitor_is_no_caller_of_their_own_choosing() -> None:
    said = dict.fromkeys(("caller_id", "did", "stream_id", "call_direction"), "+15550100")
    assert told({**said, "name": "Sam"}) == {"name": "Sam"}


@pytest.mark.parametrize(
    "metadata", [{str(n): 1 for n in range(MAX_FACTS + 1)}, {"essay": "x" * 20_000}]
)
def test_too_much_is_refused(metadata: dict[str, Any]) -> None:
    with pytest.raises(Denied) as caught:
        told(metadata)
    assert caught.value.code is Code.BODY_INVALID
