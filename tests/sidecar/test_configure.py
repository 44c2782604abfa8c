"""Where a config comes from and what is made of it for one call."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from contracts.bot import BotConfig
from contracts.machine import MachineDetection
from contracts.manners import ReEngagement
from sidecar.configure import (
    ConfigApi,
    ConfigQuery,
    OwnBots,
    prepare,
    rendered,
    require_open,
    results_url_of,
    session_id_of,
)
from sidecar.denial import Code, Denied
from tests.fakes.control_plane import START, ControlPlane

QUERY = ConfigQuery("default", "desk/1", "+1 555", "s9", {"name": "Sam"})


def of_caller(connected_event: dict[str, Any]) -> ConfigQuery:
    return ConfigQuery("default", "desk", connected_event=connected_event)


def api_of(answer: Callable[[httpx.Request], httpx.Response]) -> ConfigApi:
    http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return ConfigApi(http, "https://crm.example/config/", "s3cret", 3.0)


async def code_of(source: ConfigApi | OwnBots, query: ConfigQuery = QUERY) -> Code:
    with pytest.raises(Denied) as caught:
        await source.fetch(query)
    return caught.value.code


async def test_api_is_asked_in_the_familys_words() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.raw_path.startswith(b"/config/desk%2F1?")
        assert dict(request.url.params) == {
            "caller_id": "+1 555",
            "stream_id": "s9",
            "connected_event": json.dumps({"name": "Sam"}),
        }
        assert request.headers["X-VoxCore-Secret"] == "s3cret"
        return httpx.Response(200, json={"session_id": "s1", "opening_message": "Hi", "new": 1})

    config = await api_of(answer).fetch(QUERY)
    assert (config.bot_id, config.session_id, config.opening_message) == ("desk/1", "s1", "Hi")


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (httpx.Response(404), Code.BOT_UNKNOWN),
        (httpx.Response(503), Code.OUTSIDE_HOURS),
        (httpx.Response(500), Code.CONFIG_UNAVAILABLE),
        (httpx.Response(302, headers={"Location": "/x"}), Code.CONFIG_UNAVAILABLE),
        (httpx.Response(403), Code.CONFIG_UNAVAILABLE),
        (httpx.Response(200, text="<html>"), Code.CONFIG_INVALID),
        (httpx.Response(200, json=[1]), Code.CONFIG_INVALID),
        (httpx.Response(200, json={"timezone": 5}), Code.CONFIG_INVALID),
    ],
)
async def test_every_other_answer_is_a_refusal(response: httpx.Response, code: Code) -> None:
    assert await code_of(api_of(lambda _: response)) is code


async def test_silent_api_is_unavailable() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.extensions["timeout"]["read"] == 3.0
        raise httpx.ReadTimeout("slow", request=request)

    assert await code_of(api_of(answer)) is Code.CONFIG_UNAVAILABLE


async def test_own_bot_is_found_unless_switched_off(plane: ControlPlane) -> None:
    await plane.add_bot()
    await plane.add_bot(bot_id="off", is_active=False)
    own = OwnBots(plane.database)
    assert (await own.fetch(ConfigQuery("default", "desk"))).bot_id == "desk"
    assert await code_of(own, ConfigQuery("default", "off")) is Code.BOT_UNKNOWN
    assert await code_of(own, ConfigQuery("other", "desk")) is Code.BOT_UNKNOWN


def test_prepare_resolves_everything_that_is_spoken() -> None:
    spoken = "Hi {{call.name}}, {{crm.plan}}, {{nothing}}."
    config = BotConfig(
        timezone="Asia/Kolkata",
        variables={"plan": "gold"},
        system_prompt=spoken,
        opening_message=spoken,
        voicemail_message=spoken,
        pre_transfer_message=spoken,
        closing_message=spoken,
        knowledge_fallback_message=spoken,
        re_engagement=ReEngagement(messages=[spoken]),
        machine_detection=MachineDetection(screening_message=spoken),
    )
    ready = prepare(config, of_caller({"name": "Sam", "_campaign_id": "7"}), START)
    spoken_words = rendered(ready.config, ready.variables).model_dump()
    heard = "Hi Sam, gold, {{nothing}}."
    for name in ("system_prompt", "opening_message", "voicemail_message", "closing_message"):
        assert spoken_words[name] == heard
    assert spoken_words["pre_transfer_message"] == heard
    assert spoken_words["knowledge_fallback_message"] == heard
    assert spoken_words["re_engagement"]["messages"] == [heard]
    assert spoken_words["machine_detection"]["screening_message"] == heard
    assert ready.variables["system.current_time"] == "03:30 PM IST"
    assert "call._campaign_id" not in ready.variables


def test_closed_bot_is_denied_in_the_familys_words() -> None:
    config = BotConfig.model_validate({"active_hours": {"enabled": True, "days": []}})
    with pytest.raises(Denied) as caught:
        require_open(config, START)
    assert caught.value.code is Code.OUTSIDE_HOURS
    assert caught.value.message.startswith("outside_active_hours:")


@pytest.mark.parametrize(
    ("event", "session_id"),
    [
        ({}, "from-config"),
        ({"_campaign_session_id": "campaign"}, "campaign"),
        ({"_campaign_session_id": ""}, "from-config"),
        ({"_campaign_session_id": 7}, "from-config"),
    ],
)
def test_campaign_overrides_the_session_id(event: dict[str, object], session_id: str) -> None:
    assert session_id_of(BotConfig(session_id="from-config"), event) == session_id


def test_both_parts_of_a_prompt_are_resolved() -> None:
    parts = {
        "mode": "direct",
        "cache_enabled": True,
        "static_system_prompt": "You call for {{crm.company}}.",
        "dynamic_runtime_prompt": "You talk to {{crm.name}}.",
    }
    config = BotConfig.model_validate({"prompt_parts": parts})
    ready = prepare(config, of_caller({"name": "Sam", "company": "Nova"}), START)
    told = rendered(ready.config, ready.variables).instructions
    assert told == "You call for Nova.\n\nYou talk to Sam."


@pytest.mark.parametrize(
    ("opening", "is_per_call", "is_fixed"),
    [("Hello.", False, True), ("Hello {{call.name}}.", False, False), ("Hello Sam.", True, False)],
)
def test_opening_is_fixed_only_where_it_is_everybodys(
    opening: str, is_per_call: bool, is_fixed: bool
) -> None:
    config = BotConfig(opening_message=opening)
    ready = prepare(config, of_caller({"name": "Sam"}), START, is_per_call=is_per_call)
    assert ready.opening_is_fixed is is_fixed


def test_config_of_an_api_may_be_made_for_one_caller(plane: ControlPlane) -> None:
    assert api_of(lambda _: httpx.Response(200)).is_per_call
    assert not OwnBots(plane.database).is_per_call


def test_what_the_door_knows_is_below_what_the_event_says() -> None:
    query = ConfigQuery(
        "default", "desk", "+1555", "s9", {"did": "theirs"}, did="+1777", call_direction="outgoing"
    )
    variables = prepare(BotConfig(), query, START).variables
    assert variables["call.caller_id"] == "+1555"
    assert variables["call.stream_id"] == "s9"
    assert variables["call.did"] == "theirs"
    assert variables["call.call_direction"] == "outgoing"
    assert "crm.caller_id" not in variables


@pytest.mark.parametrize(
    ("config_url", "results_url"),
    [
        ("https://api.example/api/v1/config", "https://api.example/api/v1/call-results"),
        ("http://voxbridge:8080/config", "http://voxbridge:8080/call-results"),
        ("https://api.example", "https://api.example/call-results"),
    ],
)
def test_results_go_beside_the_config(config_url: str, results_url: str) -> None:
    assert results_url_of(config_url) == results_url


@pytest.mark.parametrize("webhook_url", ["", None, "absent", "https://crm.example/hook"])
async def test_config_that_names_no_place_for_results_gets_the_apis(
    webhook_url: str | None,
) -> None:
    answer = {} if webhook_url == "absent" else {"webhook_url": webhook_url}
    config = await api_of(lambda _: httpx.Response(200, json=answer)).fetch(QUERY)
    theirs = "https://crm.example/hook"
    expected = theirs if webhook_url == theirs else "https://crm.example/call-results"
    assert config.webhook_url == expected
