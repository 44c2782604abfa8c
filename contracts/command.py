"""What an agent wants done to its caller's line.

A bridge is told by JSON on `COMMAND_TOPIC`, and obeys only the newest incarnation of its own call's
agent, which it knows by participant identity. Where there is no bridge, as behind LiveKit SIP, the
sidecar is asked by `CallCommand`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from contracts.ids import MAX_INCARNATION


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


class SendDigits(BaseModel):
    """Press keys on the phone: `0`-`9`, `*`, `#`, `A`-`D`, and `,` for a pause of half a second."""

    model_config = ConfigDict(frozen=True)

    type: Literal["send_digits"] = "send_digits"
    digits: str = Field(pattern=r"^[0-9*#A-D,]{1,64}$")


AnyCommand = HangUp | Transfer | SendDigits
Command = Annotated[AnyCommand, Field(discriminator="type")]


class CallCommand(BaseModel):
    """An agent asks the sidecar to have a command carried out."""

    incarnation: int = Field(ge=1, le=MAX_INCARNATION)
    command: Command


class CommandReceipt(BaseModel):
    """What came of it; a transfer's answer comes when its outcome is known."""

    done: bool
    failed_reason: str = ""


_ADAPTER: TypeAdapter[AnyCommand] = TypeAdapter(Command)


def parse_command(data: bytes) -> AnyCommand:
    """Return the command.

    Raises:
        pydantic.ValidationError: not a command (a `ValueError`).
    """
    return _ADAPTER.validate_json(data)


def serialize_command(command: AnyCommand) -> bytes:
    """Return the command's bytes."""
    return _ADAPTER.dump_json(command)
