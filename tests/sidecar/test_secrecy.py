"""Masks on, masks off."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.secrecy import MASK, masked, restored

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
