"""What is wrong with a bot's choice of vendors, and what of it they do not know."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from contracts.bot import BotConfig
from contracts.engines import LlmConfig, RealtimeConfig, SttConfig, TtsConfig
from contracts.vendor.llm import LLM, llm_options
from contracts.vendor.option import Complaint, Options
from contracts.vendor.realtime import REALTIME, realtime_options
from contracts.vendor.stt import STT, detector_of, never_ends_turns, stt_options
from contracts.vendor.tts import TTS, tts_options

Engine = SttConfig | LlmConfig | TtsConfig | RealtimeConfig
"""A part of a bot's config that names a vendor."""

_Part = TypeVar("_Part", SttConfig, LlmConfig, TtsConfig, RealtimeConfig)


def complaints(config: BotConfig) -> list[Complaint]:
    """Return why a bot's vendors cannot serve a call; empty where they can, as far as one sees."""
    found: list[Complaint] = []
    for path, part in chosen(config):
        match part:
            case SttConfig():
                found += _complaints(path, STT, part)
            case LlmConfig():
                found += _complaints(path, LLM, part)
            case TtsConfig():
                found += _complaints(path, TTS, part)
            case _:
                found += _complaints(path, REALTIME, part)
    if config.runtime_mode == "realtime" and config.realtime is None:
        found.append(Complaint("realtime", "required by runtime_mode realtime"))
    # A realtime bot's turns are told by its model.
    if not found and config.runtime_mode != "realtime":
        found += _endless_turns(config)
    return found


def unprompted(config: BotConfig) -> list[Complaint]:
    """Return why the prompt that a bot has written in parts is none.

    Not for a call's own config: there a part may be empty since its variables were.
    """
    if config.prompt_parts is None or not config.prompt_parts.is_empty:
        return []
    message = "with mode direct and cache_enabled, a static or a dynamic prompt is required"
    return [Complaint("prompt_parts", message)]


def ignored_options(config: BotConfig) -> list[str]:
    """Return the options that a bot sets and its vendors do not know, as `llm.extra.top_k`.

    Raises:
        pydantic.ValidationError: an option's value is not one that the vendor takes.
    """
    ignored: list[str] = []
    for path, part in chosen(config):
        if (options := _options_of(part)) is not None:
            ignored += [f"{path}.extra.{key}" for key in options.model_validate(part.extra).ignored]
    return ignored


def chosen(config: BotConfig) -> Iterator[tuple[str, Engine]]:
    """Yield every vendor's part of a config with its path, such as `tts.fallbacks.0`."""
    kinds: tuple[tuple[str, Engine, Sequence[Engine]], ...] = (
        ("stt", config.stt, config.stt.fallbacks),
        ("llm", config.llm, config.llm.fallbacks),
        ("tts", config.tts, config.tts.fallbacks),
    )
    for kind, first, others in kinds:
        yield kind, first
        for number, each in enumerate(others):
            yield f"{kind}.fallbacks.{number}", each
    if config.realtime is not None:
        yield "realtime", config.realtime


def _complaints(
    path: str, judges: Mapping[str, Callable[[_Part], list[Complaint]]], part: _Part
) -> list[Complaint]:
    """Judge one part; what is found in a fallback is told of the fallback."""
    kind = path.partition(".")[0]
    judge = judges.get(part.provider)
    if judge is None:
        words = ", ".join(judges)
        message = f"{part.provider!r} is unknown; there are: {words}"
        return [Complaint(f"{path}.provider", message)]
    return [Complaint(path + each.field.removeprefix(kind), each.message) for each in judge(part)]


def _endless_turns(config: BotConfig) -> Iterator[Complaint]:
    """Judge who ends turns: each recogniser has to, where the first one does."""
    turn = config.turn.model_copy(update={"detector": detector_of(config.turn, config.stt)})
    for path, part in chosen(config):
        if isinstance(part, SttConfig) and never_ends_turns(turn, part):
            field = "turn.detector" if part is config.stt else f"{path}.extra"
            message = f"{path}.extra tells {part.provider} to end no turns"
            yield Complaint(field, message)


def _options_of(part: Engine) -> type[Options] | None:
    match part:
        case SttConfig():
            return stt_options(part)
        case LlmConfig():
            return llm_options(part)
        case TtsConfig():
            return tts_options(part)
        case _:
            return realtime_options(part)
