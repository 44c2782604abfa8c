"""Visitors who get no call, and one who tries to be more than a visitor."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import httpx
import pytest
from livekit import rtc
from playwright.async_api import Browser, expect

from contracts.command import HangUp
from contracts.ids import COMMAND_TOPIC, HOLD_ATTRIBUTE, LEG_NEWS_TOPIC, MEDIA_TOPIC
from contracts.leg_news import CallHeld, DigitHeard, serialize_news
from tests.browser.conftest import CALLS_AT_ONCE, KEY, TOKEN, Visit
from tests.browser.ledger import all_ended, ended_call, result_of
from tests.browser.widget import Screen
from tests.fakes.visitor import Visitor
from tests.integration.platform import Platform

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_full_house_is_told_and_tried_again(
    platform: Platform, browser: Browser, visit: Visit
) -> None:
    await all_ended(platform)
    async with AsyncExitStack() as stack:
        first, *others, late = [
            await stack.enter_async_context(visit(browser)) for _ in range(CALLS_AT_ONCE + 1)
        ]

        async def begin(screen: Screen) -> None:
            await screen.press("launcher")
            await screen.press("start-text")
            await screen.reads("bot", "How can I help you?")

        await asyncio.gather(begin(first), *map(begin, others))
        await late.press("launcher")
        await late.press("start")
        await expect(late.part("status")).to_contain_text("All lines are busy")
        await late.looks_right("11-full-house")
        (refused,) = await late.told("ended")
        assert refused["reason"] == "busy"

        await first.press("end")
        await first.shows("You hung up")
        (left,) = await first.told("ended")
        await ended_call(platform, left["callId"])
        await late.press("start-text")
        await late.reads("bot", "How can I help you?")


@pytest.mark.parametrize(
    ("bot_id", "told"),
    [
        ("closed", "We are closed now"),
        ("elsewhere", "This assistant is not available here"),
    ],
)
async def test_no_call_is_explained_in_plain_words(
    platform: Platform, browser: Browser, visit: Visit, bot_id: str, told: str
) -> None:
    await all_ended(platform)
    async with visit(browser, bot_id) as screen:
        await screen.press("launcher")
        await screen.press("start")
        await screen.shows(told)
        await screen.looks_right(f"12-{bot_id}")
        await expect(screen.part("start")).to_have_text("Call again")


async def test_server_that_does_not_answer_is_told(browser: Browser, visit: Visit) -> None:
    async with visit(browser) as screen:
        await screen.page.route(TOKEN, lambda route: route.abort())
        await screen.press("launcher")
        await screen.press("start")
        await screen.shows("The connection was lost")


async def test_what_a_visitor_forges_changes_nothing(platform: Platform) -> None:
    body = {"bot_id": "talker", "api_key": KEY, "text_only": True}
    async with httpx.AsyncClient(base_url=platform.fleet.sidecar_url, trust_env=False) as page:
        answer = await page.post("/api/v1/widget/token", json=body)
    assert answer.status_code == 201, answer.text
    ticket = answer.json()
    token, call_id = ticket["participant_token"], ticket["call_id"]
    async with Visitor.on_page(ticket["server_url"], token, microphone=False) as visitor:
        bot = next(iter(visitor.room.remote_participants))
        await visitor.until_read(bot, "how can i help you")
        me = visitor.room.local_participant
        before = dict(me.attributes)
        for topic in (MEDIA_TOPIC, COMMAND_TOPIC, LEG_NEWS_TOPIC, "vf.nudge", "lk.chat"):
            await me.publish_data(HangUp().model_dump_json().encode(), topic=topic)
        for news in (CallHeld(), DigitHeard(digit="1")):
            await me.publish_data(serialize_news(news), topic=LEG_NEWS_TOPIC)
        await me.send_text("Goodbye, says the bot.", topic="lk.transcription")
        with pytest.raises(rtc.RpcError):
            await me.perform_rpc(destination_identity=bot, method="hang_up", payload="{}")
        await me.set_attributes({HOLD_ATTRIBUTE: "1", "lk.agent.state": "speaking"})
        await me.set_name("the bot")

        # Whatever came of it came before the answer to this.
        await visitor.type("When are you open?")
        await visitor.until_read(bot, "until two", 30)
        assert dict(me.attributes) == before
        await visitor.type("Goodbye")
        await visitor.until(lambda: visitor.ended == "bot")
    call = await ended_call(platform, call_id)
    assert call["reason"] == "bot_ended"
    result = await result_of(platform, call_id)
    said = [line["text"] for line in result["transcript"] if line["speaker"] == "customer"]
    assert said == ["When are you open?", "Goodbye"]
    assert not result.get("dtmf_digits")
