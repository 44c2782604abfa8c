"""What vendors of language take."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from contracts.engines import LlmConfig
from contracts.vendor.llm import (
    LLM,
    GoogleOptions,
    OpenAiOptions,
    VertexOptions,
    llm_options,
    service_account,
)

OPENAI = {"provider": "openai", "api_key": "k", "model": "gpt-4.1-mini"}

GOOGLE = {"provider": "google", "api_key": "k", "model": "gemini-2.5-flash"}
DER = bytes.fromhex("30820008") + b"no key.."
PEM = f"-----BEGIN PRIVATE KEY-----\n{b64encode(DER).decode()}\n-----END PRIVATE KEY-----\n"
ACCOUNT = {
    "type": "service_account",
    "client_email": "voice@nova.iam.gserviceaccount.com",
    "private_key": PEM,
    "private_key_id": "k1",
    "token_uri": "http://169.254.169.254/",
}
VERTEX = {
    "provider": "google_vertex",
    "api_key": json.dumps(ACCOUNT),
    "model": "gemini-2.5-flash",
    "extra": {"project_id": "nova"},
}


def faults(config: dict[str, Any]) -> set[str]:
    llm = LlmConfig.model_validate(config)
    return {each.field for each in LLM[llm.provider](llm)}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"api_key": ""}, "llm.api_key"),
        ({"model": ""}, "llm.model"),
        ({"extra": {"top_p": 2}}, "llm.extra.top_p"),
    ],
)
def test_what_openai_cannot_do_is_named(changes: dict[str, Any], field: str) -> None:
    assert faults({**OPENAI, **changes}) == {field}


@pytest.mark.parametrize("config", [OPENAI, GOOGLE, VERTEX])
@pytest.mark.parametrize(
    ("field", "value", "is_fine"),
    [
        ("max_tokens", 0, False),
        ("max_tokens", 1, True),
        ("temperature", -0.1, False),
        ("temperature", 2.1, False),
        ("temperature", 2, True),
    ],
)
def test_what_every_vendor_refuses_is_refused_before_a_call(
    config: dict[str, Any], field: str, value: float, is_fine: bool
) -> None:
    assert faults({**config, field: value}) == (set() if is_fine else {f"llm.{field}"})
    gateway = {**config, "base_url": "https://models.example", "max_tokens": -1}
    assert faults(gateway) == set()


def test_sound_choices_are_fine() -> None:
    assert faults(OPENAI) == set()
    assert faults({"provider": "rules"}) == set()


def test_server_of_ones_own_and_rules_take_any_option() -> None:
    assert llm_options(LlmConfig.model_validate(OPENAI)) is OpenAiOptions
    own = {**OPENAI, "base_url": "http://models.example/v1"}
    assert llm_options(LlmConfig.model_validate(own)) is None
    assert llm_options(LlmConfig()) is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"api_key": ""}, "llm.api_key"),
        ({"model": ""}, "llm.model"),
        ({"extra": {"top_k": 0}}, "llm.extra.top_k"),
        ({"extra": {"thinking_level": "low"}}, "llm.extra.thinking_level"),
        (
            {"model": "gemini-3-flash", "extra": {"thinking_budget": 9}},
            "llm.extra.thinking_budget",
        ),
    ],
)
def test_what_gemini_cannot_do_is_named(changes: dict[str, Any], field: str) -> None:
    assert faults({**GOOGLE, **changes}) == {field}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"api_key": ""}, "llm.api_key"),
        ({"api_key": "no-json"}, "llm.api_key"),
        ({"extra": {}}, "llm.extra.project_id"),
        # It is a part of the host's name.
        (
            {"extra": {"project_id": "nova", "location": "evil.example/"}},
            "llm.extra.location",
        ),
        ({"extra": {"project_id": "a/b"}}, "llm.extra.project_id"),
    ],
)
def test_what_vertex_cannot_do_is_named(changes: dict[str, Any], field: str) -> None:
    assert faults({**VERTEX, **changes}) == {field}


@pytest.mark.parametrize(
    "private_key",
    [
        "pem",
        PEM.replace("\n", "\\n"),
        PEM.replace(b64encode(DER).decode(), b64encode(DER[:-1]).decode()),
        PEM.replace(b64encode(DER).decode(), b64encode(b"x" + DER).decode()),
        PEM.replace("MIIA", "M!IA"),
    ],
)
@pytest.mark.parametrize("base_url", ["", "https://models.example"])
def test_key_that_is_broken_is_told_before_a_call_needs_it(private_key: str, base_url: str) -> None:
    key = json.dumps({**ACCOUNT, "private_key": private_key})
    assert faults({**VERTEX, "api_key": key, "base_url": base_url}) == {"llm.api_key"}


def test_sound_choices_of_google_are_fine() -> None:
    assert faults(GOOGLE) == set()
    assert (
        faults({**GOOGLE, "model": "gemini-3-flash", "extra": {"thinking_level": "low"}}) == set()
    )
    assert faults(VERTEX) == set()
    gateway = {**VERTEX, "api_key": "", "base_url": "https://models.example"}
    assert faults(gateway) == set()
    assert llm_options(LlmConfig.model_validate(GOOGLE)) is GoogleOptions
    assert llm_options(LlmConfig.model_validate(VERTEX)) is VertexOptions


@pytest.mark.parametrize(
    "key",
    [
        "",
        "[]",
        "[" * 100_000,
        '"text"',
        '{"type": "external_account"}',
        json.dumps({**ACCOUNT, "private_key": 7}),
    ],
)
def test_other_texts_are_no_account(key: str) -> None:
    assert service_account(key) is None


def test_account_is_its_name_and_key_alone() -> None:
    assert service_account(json.dumps(ACCOUNT)) == {
        "client_email": "voice@nova.iam.gserviceaccount.com",
        "private_key": PEM,
        "private_key_id": "k1",
    }
