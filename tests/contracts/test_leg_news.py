"""`contracts.leg_news`: what a bridge tells the agent, by the names compatibility asks for."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from contracts import leg_news
from contracts.leg_news import AnyNews, parse_news, serialize_news

NEWS: list[AnyNews] = [
    leg_news.CallAnswered(),
    leg_news.CallHeld(),
    leg_news.CallResumed(),
    leg_news.DigitHeard(digit="#", duration_ms=160),
    leg_news.TransferAccepted(),
    leg_news.TransferDone(),
    leg_news.TransferRefused(reason="603 Decline"),
]


def test_every_kind_is_listed_here() -> None:
    assert [type(news) for news in NEWS] == list(get_args(AnyNews))


@pytest.mark.parametrize("news", NEWS, ids=lambda news: news.event)
def test_news_survives_the_wire(news: AnyNews) -> None:
    assert parse_news(serialize_news(news)) == news


@pytest.mark.parametrize("event", ["call_answered", "call_hold", "call_resume"])
def test_names_fixed_by_compatibility_need_nothing_else(event: str) -> None:
    assert json.loads(serialize_news(parse_news(json.dumps({"event": event}).encode()))) == {
        "event": event
    }


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'{"event": "call_lost"}', b'{"event": "dtmf", "digit": "12"}']
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="validation error"):
        parse_news(data)
