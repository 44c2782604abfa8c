"""What an agent tells the bridge of its call to do, as JSON on `COMMAND_TOPIC`.

A bridge obeys only the newest incarnation of its own call's agent, which it knows by participant
identity.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class HangUp(BaseModel):
    """End the phone call: stop playback, say goodbye in the carrier's words, close."""

    model_config = ConfigDict(frozen=True)

    type: Literal["hang_up"] = "hang_up"
    message: str = "Call ended by bot"


class Transfer(BaseModel):
    """Hand the caller over to `to` by the carrier's own means."""

    model_config = ConfigDict(frozen=True)

    type: Literal["transfer"] = "transfer"
    to: str
    target: str = ""
    reason: str = ""


Command = Annotated[HangUp | Transfer, Field(discriminator="type")]

_ADAPTER: TypeAdapter[HangUp | Transfer] = TypeAdapter(Command)


def parse_command(data: bytes) -> HangUp | Transfer:
    """Return the command.

    Raises:
        pydantic.ValidationError: not a command (a `ValueError`).
    """
    return _ADAPTER.validate_json(data)


def serialize_command(command: HangUp | Transfer) -> bytes:
    """Return the command's bytes."""
    return _ADAPTER.dump_json(command)
