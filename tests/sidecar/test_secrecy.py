"""Masks on, masks off."""

from __future__ import annotations

from typing import Any, cast

import pytest

from sidecar.secrecy import MASK, masked, restored, unrestorable

CONFIG: dict[str, Any] = {
    "stream_token": "tok",
    "webhook_secret": "",
    "max_tokens": 256,
    "llm": {"api_key": "sk", "model": "m"},
    "tools": [{"headers": {"Authorization": "Bearer x", "Accept": "json"}}],
    "password": ["not", "text"],
}


def test_masked_hides_secrets_at_any_depth_and_nothing_else() -> None:
    assert masked(CONFIG) == {
        "stream_token": MASK,
        "webhook_secret": "",
        "max_tokens": 256,
        "llm": {"api_key": MASK, "model": "m"},
        "tools": [{"headers": {"Authorization": MASK, "Accept": "json"}}],
        "password": ["not", "text"],
    }


def test_restored_undoes_masked() -> None:
    assert restored(masked(CONFIG), CONFIG) == CONFIG


def test_restored_takes_new_secrets_as_they_are() -> None:
    assert restored({"stream_token": "new"}, CONFIG) == {"stream_token": "new"}


@pytest.mark.parametrize("stored", [None, {}, {"tools": "odd", "llm": 5}])
def test_mask_over_nothing_becomes_empty(stored: Any) -> None:
    shown = {"llm": {"api_key": MASK}, "tools": [{"api_key": MASK}]}
    assert restored(shown, stored) == {"llm": {"api_key": ""}, "tools": [{"api_key": ""}]}


@pytest.mark.parametrize("key", ["api_key", "apikey", "X-Api-Key", "client_secret", "token"])
def test_names_of_secrets(key: str) -> None:
    assert masked({key: "x"}) == {key: MASK}


CRM: dict[str, Any] = {
    "crm_prefetch": {
        "url": "https://crm.example",
        "token": "Bearer x",
        "headers": {"X-CRM-Session": "x", "Content-Type": "application/json", "X-Empty": ""},
    },
    "post_call_push": {
        "token": "Bearer y",
        "headers": {"Authorization": "y", "X-Id": "{{crm.customer_id}}"},
        "key_mapper": {"API_KEY": "literal", "SESSION_TOKEN": " {{call.token}} ", "A": "b"},
    },
}


def test_crms_tokens_and_headers_are_hidden() -> None:
    assert masked(CRM) == {
        "crm_prefetch": {
            "url": "https://crm.example",
            "token": MASK,
            "headers": {"X-CRM-Session": MASK, "Content-Type": "application/json", "X-Empty": ""},
        },
        "post_call_push": {
            "token": MASK,
            "headers": {"Authorization": MASK, "X-Id": "{{crm.customer_id}}"},
            "key_mapper": {"API_KEY": MASK, "SESSION_TOKEN": " {{call.token}} ", "A": "b"},
        },
    }
    assert restored(masked(CRM), CRM) == CRM


def test_entries_of_a_list_keep_their_own_secrets_when_they_are_moved() -> None:
    stored = {
        "tools": [
            {"name": "find", "headers": {"X-Key": "find-key"}},
            {"type": "function", "function": {"name": "book"}, "headers": {"X-Key": "book-key"}},
        ],
        "tts": {
            "fallbacks": [
                {"provider": "elevenlabs", "api_key": "first"},
                {"provider": "sarvam", "api_key": "other"},
                {"provider": "elevenlabs", "api_key": "second"},
            ]
        },
    }
    shown = masked(stored)
    shown["tools"].reverse()
    del shown["tts"]["fallbacks"][0]
    shown["tts"]["fallbacks"].reverse()
    shown["tools"].append({"name": "new", "headers": {"X-Key": MASK}})
    kept = restored(shown, stored)
    assert [tool["headers"]["X-Key"] for tool in kept["tools"]] == ["book-key", "find-key", ""]
    assert [tts["api_key"] for tts in kept["tts"]["fallbacks"]] == ["first", "other"]


ENGINE = {"provider": "openai", "api_key": "key", "base_url": "https://own.example/v1"}
SENT: dict[str, Any] = {
    "webhook_secret": "whsec",
    "llm": {**ENGINE, "extra": {"org_token": "x"}, "fallbacks": [ENGINE, {**ENGINE, "id": "2"}]},
    "tts": {"provider": "sarvam", "api_key": "key"},
    "tools": [
        {"name": "find", "url": "https://shop.example/{{args.x}}", "headers": {"X-Key": "x"}},
        {"function": {"name": "book"}, "url": "https://shop.example", "body": {"token": "x"}},
    ],
    "mcp_servers": [{"name": "m", "url": "https://m.example/mcp", "headers": {"X-Key": "x"}}],
    "crm_prefetch": {"url": "https://crm.example/a", "token": "x"},
    "post_call_push": {"url": "https://{{crm.host}}/a", "headers": {"X-Key": "x"}},
    "exotel_api": {"api_key": "x", "host": "api.in.exotel.com"},
}
ELSEWHERE = "https://elsewhere.example/v1"


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return what is shown of `SENT`, with another value at a path."""
    shown = masked(SENT)
    *places, last = path.split(".")
    part = shown
    for place in places:
        part = part[int(place)] if isinstance(part, list) else part[place]
    part[last] = value
    return cast(dict[str, Any], shown)


@pytest.mark.parametrize(
    ("path", "value", "fields"),
    [
        ("llm.base_url", ELSEWHERE, ["llm.api_key", "llm.extra.org_token"]),
        ("llm.base_url", "http://own.example/v1", ["llm.api_key", "llm.extra.org_token"]),
        ("llm.base_url", "", ["llm.api_key", "llm.extra.org_token"]),
        ("llm.provider", "google", ["llm.api_key", "llm.extra.org_token"]),
        ("llm.fallbacks.0.base_url", ELSEWHERE, ["llm.fallbacks.0.api_key"]),
        ("tts.base_url", ELSEWHERE, ["tts.api_key"]),
        ("tools.0.url", "https://shop.example:8443/", ["tools.0.headers.X-Key"]),
        ("tools.0.function", {"url": ELSEWHERE}, ["tools.0.headers.X-Key"]),
        ("tools.1.url", ELSEWHERE, ["tools.1.body.token"]),
        ("mcp_servers.0.url", ELSEWHERE, ["mcp_servers.0.headers.X-Key"]),
        ("crm_prefetch.url", ELSEWHERE, ["crm_prefetch.token"]),
        ("post_call_push.url", "https://{{crm.other}}/a", ["post_call_push.headers.X-Key"]),
        ("exotel_api.host", "elsewhere.example", ["exotel_api.api_key"]),
    ],
)
def test_secret_is_not_restored_where_it_would_go_elsewhere(
    path: str, value: Any, fields: list[str]
) -> None:
    found = list(unrestorable(changed(path, value), SENT))
    assert [".".join(place) for place, _ in found] == fields
    assert all("another address" in why for _, why in found)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "Desk"),
        ("url", ELSEWHERE),
        ("llm.base_url", "https://OWN.example:443/v2"),
        ("tts.base_url", ""),
        ("tools.0.url", "https://shop.example/other?x={{args.y}}"),
        ("crm_prefetch.url", "https://crm.example/b"),
        ("llm.api_key", "new"),
    ],
)
def test_secret_is_restored_while_it_goes_to_the_same_place(path: str, value: Any) -> None:
    assert list(unrestorable(changed(path, value), SENT)) == []


@pytest.mark.parametrize("stored", [None, {}, {"tools": "odd", "llm": {"api_key": ""}}])
def test_mask_over_nothing_stands_for_no_secret(stored: Any) -> None:
    shown = {"llm": {"api_key": MASK}, "tools": [{"headers": {"X-Key": MASK}}], "name": MASK}
    found = list(unrestorable(shown, stored))
    assert [place for place, _ in found] == [
        ("llm", "api_key"),
        ("tools", "0", "headers", "X-Key"),
    ]
    assert all("nothing is stored" in why for _, why in found)
