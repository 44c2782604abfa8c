"""What is asked of a bot's vendors before it is saved or called."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from contracts.bot import BotConfig
from sidecar.configure import ConfigQuery
from sidecar.denial import Code, Denied
from sidecar.egress import EgressGuard
from sidecar.vetting import VettedConfigs, Vetting
from tests.fakes.keyring import Unkeyed


async def resolve(host: str, _: int) -> Sequence[str]:
    return {"own.example": ["10.0.0.7"]}.get(host, ["93.184.215.14"])


def vetting(*, allow_private: bool = False, secrets: Path | None = None) -> Vetting:
    return Vetting(EgressGuard(allow_private=allow_private, resolve=resolve), Unkeyed(secrets))


def bot(url: str, key: str = "k") -> BotConfig:
    llm = {"provider": "openai", "model": "m", "api_key": key, "base_url": url}
    return BotConfig.model_validate({"llm": llm})


class Source:
    """Has one config."""

    is_per_call = True
    url = ""
    results_url = ""

    def __init__(self, config: BotConfig) -> None:
        self._config = config

    async def fetch(self, query: ConfigQuery) -> BotConfig:
        return self._config


async def test_public_address_and_none_pass() -> None:
    await vetting().require("t", bot("https://models.example/v1"))
    await vetting().require("t", bot(""))


async def test_private_address_passes_where_it_is_allowed_alone() -> None:
    await vetting(allow_private=True).require("t", bot("http://own.example/v1"))
    with pytest.raises(Denied) as denied:
        await vetting().require("t", bot("http://own.example/v1"))
    assert denied.value.code is Code.CONFIG_INVALID
    [error] = denied.value.details["errors"]
    assert error["loc"] == ["llm", "base_url"]
    assert "private" in error["msg"]


async def test_every_complaint_is_told_at_once() -> None:
    config = BotConfig.model_validate({"stt": {"provider": "x"}, "tts": {"provider": "y"}})
    with pytest.raises(Denied) as denied:
        await vetting().require("t", config)
    assert [error["loc"] for error in denied.value.details["errors"]] == [
        ["stt", "provider"],
        ["tts", "provider"],
    ]


async def test_prompt_in_parts_that_holds_nothing_is_refused() -> None:
    parts = {"mode": "direct", "cache_enabled": True}
    config = BotConfig.model_validate({"system_prompt": "Be kind.", "prompt_parts": parts})
    with pytest.raises(Denied) as denied:
        await vetting().require("t", config)
    assert [error["loc"] for error in denied.value.details["errors"]] == [["prompt_parts"]]


async def test_config_from_any_source_is_vetted_before_a_call() -> None:
    query = ConfigQuery("t", "b")
    fine = VettedConfigs(Source(bot("")), vetting())
    assert fine.is_per_call
    assert (await fine.fetch(query)).llm.model == "m"
    with pytest.raises(Denied):
        await VettedConfigs(Source(bot("", key="")), vetting()).fetch(query)


async def test_tools_may_be_at_public_addresses_alone() -> None:
    config = BotConfig.model_validate(
        {
            "tools": [
                {"name": "noted", "is_intent": True},
                {"name": "a", "url": "https://tools.example/{{call.x}}?y={{crm.z}}"},
                {"name": "b", "url": "http://own.example/"},
            ],
            "mcp_servers": [{"name": "c", "url": "http://own.example/mcp"}],
        }
    )
    with pytest.raises(Denied) as denied:
        await vetting().require("t", config, with_tools=True)
    assert [error["loc"] for error in denied.value.details["errors"]] == [
        ["tools", 2, "url"],
        ["mcp_servers", 0, "url"],
    ]
    await vetting(allow_private=True).require("t", config, with_tools=True)
    # A call does not wait for their names to be looked up.
    await vetting().require("t", config)


@pytest.mark.parametrize(
    "config",
    [
        {"llm": {"fallbacks": [{"provider": "openai", "model": "m", "base_url": "ADDRESS"}]}},
        {"realtime": {"provider": "openai", "api_key": "k", "base_url": "ADDRESS"}},
    ],
)
async def test_address_of_every_vendor_is_looked_at(config: dict[str, Any]) -> None:
    text = json.dumps(config).replace("ADDRESS", "http://own.example/v1")
    with pytest.raises(Denied) as denied:
        await vetting().require("t", BotConfig.model_validate_json(text))
    locations = [error["loc"] for error in denied.value.details["errors"]]
    assert any(location[-1] == "base_url" for location in locations)


async def test_missing_secret_is_the_one_complaint_about_its_field(tmp_path: Path) -> None:
    (tmp_path / "llm").write_text("sk-1")
    named = vetting(secrets=tmp_path)
    assert (await named.require("default", bot("", "secret://llm"))).llm.api_key == "sk-1"
    with pytest.raises(Denied) as denied:
        await named.require("default", bot("", "secret://gone"))
    [error] = denied.value.details["errors"]
    assert error["loc"] == ["llm", "api_key"]
    assert "secret://gone" in error["msg"]
    with pytest.raises(Denied):
        await named.require("acme", bot("", "secret://llm"))
    with pytest.raises(Denied, match="config_invalid"):
        await named.require("default", bot("", "secret://llm"), "https://evil.example/config")
