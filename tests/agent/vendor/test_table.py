"""Every field of a bot's that names something of a vendor's has its proof, and its line in docs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from contracts.engines import LlmConfig, RealtimeConfig, SttConfig, TtsConfig
from contracts.open import Open
from contracts.vendor.llm import LLM, llm_options
from contracts.vendor.option import Options
from contracts.vendor.realtime import REALTIME, realtime_options
from contracts.vendor.stt import STT, stt_options
from contracts.vendor.tts import TTS, tts_options
from tests.agent.vendor import table

OURS = {
    "provider": "it is which vendor",
    "fallbacks": "they are whole configs of their own",
    "rules": "they are for the brain of rules",
    "extra": "each of its keys has a proof",
}
"""Fields of a config that no vendor has a place for, and why."""
OFFLINE = {"offline", "rules"}
"""Providers on this machine: there is no wire."""


def options(kind: str, provider: str) -> type[Options] | None:
    match kind:
        case "stt":
            return stt_options(SttConfig(provider=provider))
        case "llm":
            return llm_options(LlmConfig(provider=provider))
        case "tts":
            return tts_options(TtsConfig(provider=provider))
        case _:
            return realtime_options(RealtimeConfig(provider=provider))


def vendors() -> list[tuple[str, str]]:
    tables: dict[str, Mapping[str, Any]] = {
        "stt": STT,
        "llm": LLM,
        "tts": TTS,
        "realtime": REALTIME,
    }
    return [(kind, name) for kind, known in tables.items() for name in known if name not in OFFLINE]


CONFIGS: dict[str, type[Open]] = {
    "stt": SttConfig,
    "llm": LlmConfig,
    "tts": TtsConfig,
    "realtime": RealtimeConfig,
}


@pytest.mark.parametrize(("kind", "provider"), vendors())
def test_every_field_has_its_proof(kind: str, provider: str) -> None:
    model = options(kind, provider)
    expected = {f"{kind}.{name}" for name in CONFIGS[kind].model_fields if name not in OURS}
    expected |= {f"{kind}.extra.{name}" for name in (model.model_fields if model else ())}
    proven = {each.field for each in table.proofs() if each.vendor == provider}
    excused = {each.field for each in table.unsent() if each.vendor == provider}
    assert expected - proven - excused == set()


def test_nothing_is_both_proven_and_excused() -> None:
    proven = {(each.vendor, each.field) for each in table.proofs()}
    assert [each for each in table.unsent() if (each.vendor, each.field) in proven] == []
    assert all(each.why for each in table.unsent())


def test_page_has_the_table_that_the_proofs_make() -> None:
    page = table.PAGE.read_text()
    assert table.with_table(page) == page, "run python -m tests.agent.vendor.table"
