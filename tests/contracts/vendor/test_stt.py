"""What vendors of recognition take."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.engines import SttConfig, TurnConfig
from contracts.vendor.stt import (
    STT,
    DeepgramOptions,
    FluxOptions,
    SonioxOptions,
    detector_of,
    flux_model,
    is_flux,
    lets_interrupt,
    never_ends_turns,
    spoken,
    stt_options,
)

DEEPGRAM = {"provider": "deepgram", "api_key": "k"}
FLUX = {"provider": "deepgram_flux", "api_key": "k"}
SONIOX = {"provider": "soniox", "api_key": "k"}
FORCED = {**SONIOX, "extra": {"vad_force_turn_endpoint": True}}


def faults(config: dict[str, Any]) -> set[str]:
    stt = SttConfig.model_validate(config)
    return {each.field for each in STT[stt.provider](stt)}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"api_key": ""}, "stt.api_key"),
        ({"language": ""}, "stt.language"),
        ({"model": "nova-2", "extra": {"keyterm": "Asha"}}, "stt.extra.keyterm"),
        ({"extra": {"punctuate": "perhaps"}}, "stt.extra.punctuate"),
        ({"extra": {"endpointing": -5}}, "stt.extra.endpointing"),
        ({"extra": {"redact": "foo"}}, "stt.extra.redact"),
        ({"extra": {"redact": ["pci", "foo"]}}, "stt.extra.redact"),
    ],
)
def test_what_deepgram_cannot_do_is_named(changes: dict[str, Any], field: str) -> None:
    assert faults({**DEEPGRAM, **changes}) == {field}


def test_sound_choices_are_fine() -> None:
    assert faults(DEEPGRAM) == set()
    assert faults({"provider": "offline"}) == set()
    assert faults({**DEEPGRAM, "extra": {"keyterm": "Asha"}}) == set()
    assert faults({**DEEPGRAM, "extra": {"redact": ["pci", "numbers", "email_address"]}}) == set()


@pytest.mark.parametrize(
    ("language", "found"),
    [
        ("en", set()),
        ("en-IN", set()),
        ("", set()),
        ("hi", {"stt.language"}),
        ("multi", {"stt.language"}),
    ],
)
def test_offline_recogniser_knows_english_alone(language: str, found: set[str]) -> None:
    assert faults({"provider": "offline", "language": language}) == found


@pytest.mark.parametrize(
    ("endpointing", "expected"),
    [(400, (400, 400)), (False, (0, 0)), (True, (25, 300)), (None, (25, 300)), (0, (0, 0))],
)
def test_endpointing_is_a_time_or_off_or_what_suits_who_ends_turns(
    endpointing: object, expected: tuple[int, int]
) -> None:
    options = DeepgramOptions.model_validate({"endpointing": endpointing})
    assert (options.endpointing_ms(), options.endpointing_ms(ends_turns=True)) == expected


def test_offline_engine_has_no_options() -> None:
    assert stt_options(SttConfig()) is None
    assert stt_options(SttConfig(provider="deepgram")) is DeepgramOptions


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"api_key": ""}, "stt.api_key"),
        ({"model": "nova-3"}, "stt.model"),
        ({"model": "flux-general-en", "language": "hi"}, "stt.language"),
        ({"language": "ta"}, "stt.language"),
        ({"extra": {"language_hints": ["hi"]}}, "stt.extra.language_hints"),
        ({"extra": {"eot_threshold": 2}}, "stt.extra.eot_threshold"),
        ({"extra": {"eager_eot_threshold": 0.8}}, "stt.extra.eager_eot_threshold"),
    ],
)
def test_what_flux_cannot_do_is_named(changes: dict[str, Any], field: str) -> None:
    assert faults({**FLUX, **changes}) == {field}


def test_flux_is_named_by_the_provider_or_by_the_model() -> None:
    by_model = {**DEEPGRAM, "model": "flux-general-en"}
    for config in (FLUX, by_model):
        assert faults(config) == set()
        assert is_flux(SttConfig.model_validate(config))
        assert stt_options(SttConfig.model_validate(config)) is FluxOptions
    assert not is_flux(SttConfig.model_validate(DEEPGRAM))
    assert faults({**by_model, "api_key": ""}) == {"stt.api_key"}


def test_sound_flux_choices_are_fine() -> None:
    eager = {"eot_threshold": 0.9, "eager_eot_threshold": 0.8}
    assert faults({**FLUX, "extra": eager}) == set()
    assert faults({**FLUX, "language": "multi", "extra": {"language_hints": "hi"}}) == set()
    assert faults({**FLUX, "model": "flux-general-en", "language": ""}) == set()


@pytest.mark.parametrize(
    ("config", "model"),
    [
        ({"language": "en-IN"}, "flux-general-en"),
        ({"language": "hi"}, "flux-general-multi"),
        ({"language": "multi"}, "flux-general-multi"),
        ({"language": "hi", "model": "flux-general-en"}, "flux-general-en"),
    ],
)
def test_flux_model_is_the_languages_where_none_is_named(
    config: dict[str, Any], model: str
) -> None:
    assert flux_model(SttConfig.model_validate({**FLUX, **config})) == model


@pytest.mark.parametrize(
    ("language", "expected"), [("en-IN", "en"), ("hi", "hi"), ("multi", ""), ("", "")]
)
def test_language_is_told_without_its_region(language: str, expected: str) -> None:
    assert spoken(language) == expected


def test_what_soniox_cannot_do_is_named() -> None:
    assert faults({**SONIOX, "api_key": ""}) == {"stt.api_key"}
    late = {"max_endpoint_delay_ms": 9000}
    assert faults({**SONIOX, "extra": late}) == {"stt.extra.max_endpoint_delay_ms"}
    assert faults({**SONIOX, "language": "multi", "extra": {"language_hints": "hi"}}) == set()
    assert stt_options(SttConfig.model_validate(SONIOX)) is SonioxOptions


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, "v1-mini"),
        (DEEPGRAM, "v1-mini"),
        (FLUX, "stt"),
        ({**DEEPGRAM, "model": "flux-general-en"}, "stt"),
        (SONIOX, "stt"),
        (FORCED, "v1-mini"),
    ],
)
def test_who_ends_turns_suits_the_recogniser(config: dict[str, Any], expected: str) -> None:
    stt = SttConfig.model_validate(config)
    assert detector_of(TurnConfig(), stt) == expected
    assert detector_of(TurnConfig(detector="vad"), stt) == "vad"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, False),
        (FLUX, False),
        (SONIOX, False),
        (FORCED, True),
        (DEEPGRAM, False),
        ({**DEEPGRAM, "extra": {"endpointing": False}}, True),
        ({**DEEPGRAM, "model": "flux-general-en"}, False),
    ],
)
def test_turns_that_nobody_would_end_are_noticed(config: dict[str, Any], expected: bool) -> None:
    stt = SttConfig.model_validate(config)
    assert never_ends_turns(TurnConfig(detector="stt"), stt) is expected
    assert not never_ends_turns(TurnConfig(), stt)


def test_flux_alone_may_be_told_not_to_interrupt() -> None:
    polite = {"extra": {"should_interrupt": False}}
    assert not lets_interrupt(SttConfig.model_validate({**FLUX, **polite}))
    assert lets_interrupt(SttConfig.model_validate(FLUX))
    assert lets_interrupt(SttConfig.model_validate({**DEEPGRAM, **polite}))
