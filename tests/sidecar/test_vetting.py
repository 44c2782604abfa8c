"""What is asked of a bot's vendors before it is saved or called."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from contracts.bot import BotConfig
from sidecar.configure import ConfigQuery
from sidecar.denial import Code, Denied
from sidecar.egress import EgressGuard
from sidecar.vetting import VettedConfigs, Vetting


async def resolve(host: str, _: int) -> Sequence[str]:
    return {"own.example": ["10.0.0.7"]}.get(host, ["93.184.215.14"])


def vetting(*, allow_private: bool = False) -> Vetting:
    return Vetting(EgressGuard(allow_private=allow_private, resolve=resolve))


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
    await vetting().require(bot("https://models.example/v1"))
    await vetting().require(bot(""))


async def test_private_address_passes_where_it_is_allowed_alone() -> None:
    await vetting(allow_private=True).require(bot("http://own.example/v1"))
    with pytest.raises(Denied) as denied:
        await vetting().require(bot("http://own.example/v1"))
    assert denied.value.code is Code.CONFIG_INVALID
    [error] = denied.value.details["errors"]
    assert error["loc"] == ["llm", "base_url"]
    assert "private" in error["msg"]


async def test_every_complaint_is_told_at_once() -> None:
    config = BotConfig.model_validate({"stt": {"provider": "x"}, "tts": {"provider": "y"}})
    with pytest.raises(Denied) as denied:
        await vetting().require(config)
    assert [error["loc"] for error in denied.value.details["errors"]] == [
        ["stt", "provider"],
        ["tts", "provider"],
    ]


async def test_config_from_any_source_is_vetted_before_a_call() -> None:
    query = ConfigQuery("t", "b")
    fine = VettedConfigs(Source(bot("")), vetting())
    assert fine.is_per_call
    assert (await fine.fetch(query)).llm.model == "m"
    with pytest.raises(Denied):
        await VettedConfigs(Source(bot("", key="")), vetting()).fetch(query)
