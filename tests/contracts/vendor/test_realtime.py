"""What vendors of realtime models take."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.engines import RealtimeConfig
from contracts.vendor.realtime import REALTIME, GeminiLiveOptions, realtime_options


def complained_of(provider: str = "openai", **fields: Any) -> list[str]:
    config = RealtimeConfig(provider=provider, **{"api_key": "key", **fields})
    return [each.field for each in REALTIME[provider](config)]


@pytest.mark.parametrize("provider", REALTIME)
def test_model_and_voice_may_be_left_to_us_but_not_the_key(provider: str) -> None:
    assert complained_of(provider) == []
    assert complained_of(provider, api_key="") == ["realtime.api_key"]
    assert complained_of(provider, api_key="", base_url="http://own.example/v1") == []


def test_temperature_is_gemini_s_alone() -> None:
    assert complained_of("openai", temperature=0.7) == ["realtime.temperature"]
    assert complained_of("google", temperature=0.7) == []


@pytest.mark.parametrize(
    ("provider", "extra", "field"),
    [
        ("openai", {"speed": 3}, "speed"),
        ("openai", {"turn_detection": {"type": "none"}}, "turn_detection.type"),
        ("openai", {"turn_detection": {"patience": 3}}, "turn_detection.patience"),
        ("openai", {"max_session_s": 7200}, "max_session_s"),
        ("google", {"top_p": 2}, "top_p"),
        ("google", {"turn_detection": {"silence_duration_ms": -1}}, None),
    ],
)
def test_value_that_the_vendor_does_not_take_is_named(
    provider: str, extra: dict[str, Any], field: str | None
) -> None:
    field = field or "turn_detection.silence_duration_ms"
    assert complained_of(provider, extra=extra) == [f"realtime.extra.{field}"]


def test_options_are_the_provider_s() -> None:
    assert realtime_options(RealtimeConfig(provider="google")) is GeminiLiveOptions
    assert realtime_options(RealtimeConfig(provider="nobody")) is None
