"""What a scripted caller does: a list of steps, from YAML or from the command line's options."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator


class _Step(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Say(_Step):
    """Wait until the bot has finished, then speak."""

    say: str = Field(min_length=1)


class Interrupt(_Step):
    """Speak while the bot speaks, as soon as it has begun."""

    interrupt: str = Field(min_length=1)


class Play(_Step):
    """Wait until the bot has finished, then play a WAV file."""

    play: Path


class WaitFor(_Step):
    """Wait until a line of the bot matches; a pattern, without regard to case."""

    wait_for: str = Field(min_length=1)
    timeout_s: float = Field(default=20.0, gt=0, le=300)

    @field_validator("wait_for")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a pattern: {error}") from error
        return pattern


class Pause(_Step):
    """Say nothing for a while."""

    pause_s: float = Field(gt=0, le=600)


class HangUp(_Step):
    """Put the phone down. A script without it waits for the bot to hang up."""

    hang_up: bool = True


Step = Say | Interrupt | Play | WaitFor | Pause | HangUp

KINDS: dict[str, type[Step]] = {
    "say": Say,
    "interrupt": Interrupt,
    "play": Play,
    "wait_for": WaitFor,
    "pause_s": Pause,
    "hang_up": HangUp,
}


class Scenario(BaseModel):
    """A caller's whole part."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bot: str = ""
    caller_id: str = "+12125550199"
    crm: dict[str, Any] = Field(default_factory=dict)
    """What the dialler knows about the caller: extra keys of the `connected` message."""
    steps: list[Step] = Field(min_length=1)


class ScenarioInvalid(Exception):
    """The file is not a scenario; the message says where it goes wrong."""


def parse_scenario(text: str, folder: Path) -> Scenario:
    """Return the scenario; relative WAV paths are taken from `folder`.

    Raises:
        ScenarioInvalid: it is not one.
    """
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ScenarioInvalid(f"not YAML: {error}") from error
    fields = {"steps": content} if isinstance(content, list) else content
    if not isinstance(fields, dict) or not isinstance(fields.get("steps"), list):
        raise ScenarioInvalid("neither a list of steps nor a mapping with `steps`")
    steps = [_step(raw, number, folder) for number, raw in enumerate(fields["steps"], 1)]
    try:
        return Scenario.model_validate({**fields, "steps": steps})
    except ValidationError as error:
        raise ScenarioInvalid(_first_fault(error)) from error


def scenario_of(say: Sequence[str], wav: Path | None) -> Scenario:
    """Return the scenario of `--wav` and `--say … --say …`: speak, then hang up."""
    steps: list[Step] = [Play(play=wav)] if wav is not None else []
    steps += [Say(say=text) for text in say]
    return Scenario(steps=[*steps, HangUp()])


def _step(raw: Any, number: int, folder: Path) -> Step:
    if raw == "hang_up":
        return HangUp()
    kinds = [kind for name, kind in KINDS.items() if isinstance(raw, dict) and name in raw]
    if len(kinds) != 1:
        raise ScenarioInvalid(f"step {number}: {raw!r} is not one of {', '.join(KINDS)}")
    try:
        step = kinds[0].model_validate(raw)
    except ValidationError as error:
        raise ScenarioInvalid(f"step {number}: {_first_fault(error)}") from error
    return Play(play=folder / step.play) if isinstance(step, Play) else step


def _first_fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
