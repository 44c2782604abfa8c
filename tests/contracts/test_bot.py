"""`contracts.bot`: the family's keys and defaults, ours beside them, unknown keys kept."""

from __future__ import annotations

import json
from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.bot import (
    ActiveHours,
    BotConfig,
    CrmPrefetch,
    ExotelApi,
    PostCallPush,
    TransferTarget,
)

FAMILY_DEFAULTS: dict[str, object] = {
    "session_id": "",
    "bot_id": "",
    "webhook_url": "",
    "system_prompt": "",
    "opening_message": "",
    "timezone": "UTC",
    "re_engagement": None,
    "min_words_interruption": 3,
    "max_call_duration_seconds": 600,
    "voicemail_message": "",
    "pre_transfer_message": "",
    "tools": [],
    "conversation_policy": None,
    "transfer_numbers": {},
    "transfer_targets": [],
    "post_call_analysis_prompt": None,
    "post_call_cache_enabled": False,
    "post_call_cache_version": "",
    "post_call_cache": None,
    "qc_prompt": None,
    "auto_dispositions": None,
    "prompt_parts": None,
    "callback_detection_enabled": False,
    "post_call_push": None,
    "knowledge_enabled": False,
    "knowledge_trigger_instructions": "",
    "knowledge_kb_ids": [],
    "knowledge_top_k": 4,
    "knowledge_score_threshold": 0.0,
    "knowledge_strict": False,
    "knowledge_fallback_message": "",
    "is_active": True,
}


def test_empty_config_has_the_family_defaults() -> None:
    config = BotConfig().model_dump(mode="json")
    assert {key: config[key] for key in FAMILY_DEFAULTS} == FAMILY_DEFAULTS


def test_empty_config_needs_no_vendor() -> None:
    config = BotConfig()
    assert (config.stt.provider, config.llm.provider, config.tts.provider) == (
        "offline",
        "rules",
        "offline",
    )
    assert not config.stt.api_key + config.llm.api_key + config.tts.api_key


def test_unknown_keys_are_kept_at_every_level() -> None:
    given_config = {
        "shiny": {"a": 1},
        "stt": {"provider": "offline", "novel": True},
        "vad": {"threshold_boost": 2},
        "turn": {"lookahead": 1},
        "active_hours": {"enabled": False, "holidays": ["2026-01-26"]},
        "re_engagement": {"messages": ["Hello?"], "tone": "soft"},
        "transfer_targets": [{"id": "a", "value": "+911", "colour": "red"}],
    }
    config = json.loads(BotConfig.model_validate(given_config).model_dump_json())
    assert config["shiny"] == {"a": 1}
    assert config["stt"]["novel"] is True
    assert config["vad"]["threshold_boost"] == 2
    assert config["turn"]["lookahead"] == 1
    assert config["active_hours"]["holidays"] == ["2026-01-26"]
    assert config["re_engagement"]["tone"] == "soft"
    assert config["transfer_targets"][0]["colour"] == "red"


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=12).map(lambda key: f"x_{key}"),
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        max_size=5,
    )
)
def test_any_unknown_key_round_trips(extra: dict[str, object]) -> None:
    config = BotConfig.model_validate(extra)
    again = BotConfig.model_validate_json(config.model_dump_json())
    assert again == config
    assert again.model_extra == extra


def test_config_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        BotConfig().bot_id = "other"  # type: ignore[misc]


def test_days_are_read_in_any_spelling() -> None:
    hours = ActiveHours(days=[" Monday", "FRIDAY"], start_time=time(9), end_time=time(18, 30))
    assert hours.days == ["monday", "friday"]


def test_day_that_no_week_has_is_refused() -> None:
    assert ActiveHours(days=["Tues", "wednesday"]).days == ["tues", "wednesday"]
    with pytest.raises(ValidationError, match="'funday' is no day"):
        ActiveHours(days=["monday", "Funday"])


def test_hours_accept_the_text_forms() -> None:
    hours = ActiveHours.model_validate({"start_time": "09:00", "end_time": "18:30:15"})
    assert (hours.start_time, hours.end_time) == (time(9), time(18, 30, 15))


def test_target_ids_must_be_unique() -> None:
    targets = [TransferTarget(id="a", value="1"), TransferTarget(id="a", value="2")]
    with pytest.raises(ValidationError, match="ids must be unique"):
        BotConfig(transfer_targets=targets)


def test_targets_without_id_may_repeat() -> None:
    targets = [
        TransferTarget(value="1"),
        TransferTarget(value="2"),
        TransferTarget(id="a", value="3"),
    ]
    assert BotConfig(transfer_targets=targets).transfer_targets == targets


@pytest.mark.parametrize(
    ("method", "type_", "value"),
    [
        ("websocket_reverse_transfer", "phone_number", "+911234567890"),
        ("websocket_reverse_transfer", "extension", "204"),
        ("websocket_reverse_transfer", "sip_uri", "sip:desk@example.com"),
        ("livekit_sip_refer", "tel_uri", "tel:+911234567890"),
        ("livekit_sip_refer", "phone_number", "+911234567890"),
        ("exotel_passthru", "phone_number", "+911234567890"),
        ("agent_desk", "agent_queue", "billing"),
    ],
)
def test_target_is_accepted(method: str, type_: str, value: str) -> None:
    target = TransferTarget.model_validate({"method": method, "type": type_, "value": value})
    assert (target.method, target.type, target.value) == (method, type_, value)


@pytest.mark.parametrize(
    ("method", "type_", "value", "why"),
    [
        ("agent_desk", "phone_number", "+911", "takes only type agent_queue"),
        ("websocket_reverse_transfer", "agent_queue", "billing", "does not take type agent_queue"),
        ("livekit_sip_refer", "extension", "204", "takes sip_uri, tel_uri or phone_number"),
        ("livekit_sip_refer", "sip_uri", "desk@example.com", "begins with sip:"),
        ("livekit_sip_refer", "tel_uri", "+911", "begins with tel:"),
        ("exotel_passthru", "tel_uri", "tel:+911", "takes only type phone_number"),
        ("exotel_passthru", "agent_queue", "billing", "does not take type agent_queue"),
        ("websocket_reverse_transfer", "phone_number", "", "at least 1 character"),
        ("carrier_pigeon", "phone_number", "+911", "websocket_reverse_transfer"),
    ],
)
def test_target_is_refused(method: str, type_: str, value: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        TransferTarget.model_validate({"method": method, "type": type_, "value": value})


@pytest.mark.parametrize(
    "bad",
    [
        {"min_words_interruption": -1},
        {"stream_message_ms": 0},
        {"stream_message_ms": 30},
        {"stream_message_ms": 420},
        {"exotel_chunk_bytes": 0},
        {"exotel_chunk_bytes": 3300},
        {"exotel_chunk_bytes": 32_320},
        {"exotel_stream_limit_s": 59},
        {"exotel_api": {"account_sid": "acme", "api_key": "k", "api_token": ""}},
        {"exotel_api": {"account_sid": "../acme", "api_key": "k", "api_token": "t"}},
        {"exotel_api": {"account_sid": "a", "api_key": "k", "api_token": "t", "host": "a/b"}},
        {"exotel_api": {"account_sid": "a", "api_key": "k", "api_token": "t", "host": "u@b"}},
        {"max_call_duration_seconds": 0},
        {"knowledge_top_k": 11},
        {"knowledge_score_threshold": 1.5},
        {"no_response_seconds": 0},
        {"dead_air_seconds": 301},
        {"vad": {"confidence": 1}},
        {"vad": {"stop_secs": 0.01}},
        {"turn": {"detector": "oracle"}},
        {"re_engagement": {"after_seconds": 0}},
        {"active_hours": {"start_time": "25:00"}},
    ],
)
def test_value_out_of_range_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        BotConfig.model_validate(bad)


def test_exotel_is_spoken_to_by_its_rules_unless_the_account_has_others() -> None:
    config = BotConfig()
    assert (config.exotel_chunk_bytes, config.exotel_stream_limit_s) == (3200, 3600)
    assert config.exotel_api is None
    account = {"account_sid": "acme1", "api_key": "secret://exotel-key", "api_token": "t"}
    api = ExotelApi.model_validate(account)
    assert api.host == "api.in.exotel.com"
    assert ExotelApi.model_validate({**account, "host": "127.0.0.1:8089"}).host == "127.0.0.1:8089"


def test_rules_that_refer_to_nothing_are_refused_when_the_bot_is_read() -> None:
    rules = {"intents": [{"name": "book", "phrases": ["book"], "go": "nowhere"}]}
    with pytest.raises(ValidationError, match="no flow 'nowhere'"):
        BotConfig.model_validate({"llm": {"provider": "rules", "rules": rules}})


def test_rules_are_kept_as_written() -> None:
    rules = {"faq": [{"questions": ["Where are you?"], "answer": "Here."}]}
    config = BotConfig.model_validate({"llm": {"provider": "rules", "rules": rules}})
    assert config.llm.rules == rules


def test_prompt_in_two_parts_stands_in_for_the_system_prompt_while_it_is_cached() -> None:
    parts = {"static_system_prompt": "Be brief.", "dynamic_runtime_prompt": "It is Monday."}
    live = {**parts, "mode": "direct", "cache_enabled": True}
    for prompt_parts, expected in [
        (None, "Be kind."),
        (parts, "Be kind."),
        ({**live, "cache_enabled": False}, "Be kind."),
        (live, "Be brief.\n\nIt is Monday."),
        ({**live, "dynamic_runtime_prompt": ""}, "Be brief."),
    ]:
        config = BotConfig.model_validate(
            {"system_prompt": "Be kind.", "prompt_parts": prompt_parts}
        )
        assert config.instructions == expected


@pytest.mark.parametrize(
    "url", ["https://{{call.host}}/", "{{call.scheme}}://crm.example", "https://crm.{{x}}?a=1"]
)
def test_variables_do_not_choose_who_is_asked(url: str) -> None:
    with pytest.raises(ValidationError, match="only the path and the query"):
        CrmPrefetch(url=url)


def test_crm_may_be_asked_with_variables_in_path_and_query() -> None:
    url = "https://crm.example/{{call.region}}?phone={{call.caller_id}}"
    assert CrmPrefetch.model_validate({"url": url, "method": "post"}).method == "POST"


def test_push_needs_no_more_than_it_is_given() -> None:
    push = PostCallPush.model_validate({"url": "https://crm.example", "method": "put", "new": 1})
    assert (push.method, push.key_mapper, push.push_updates) == ("PUT", {}, False)
    with pytest.raises(ValidationError):
        PostCallPush.model_validate({"method": "DELETE"})


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("https://Shop.example", "https://shop.example"),
        (" http://127.0.0.1:8000 ", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("*.example.com", "*.example.com"),
    ],
)
def test_origins_of_the_widget_are_spelt_as_browsers_do(written: str, kept: str) -> None:
    config = BotConfig.model_validate({"widget_allowed_origins": [written]})
    assert config.widget_allowed_origins == [kept]


@pytest.mark.parametrize("origin", ["", "*", "null", "https://a/", "https://*.a.example", "a b"])
def test_what_no_browser_sends_is_no_origin_of_the_widget(origin: str) -> None:
    with pytest.raises(ValidationError):
        BotConfig.model_validate({"widget_allowed_origins": [origin]})
