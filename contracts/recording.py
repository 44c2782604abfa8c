"""How a recording gets from the agent's host to where it is kept.

The host offers it, is told where to put it, puts it there, and, where that was not the sidecar
itself, says so. Each step may be repeated.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from contracts.ids import MAX_INCARNATION
from contracts.wav import FRAME_BYTES, HEADER_BYTES, MAX_FRAMES


class RecordingOffer(BaseModel):
    """What one incarnation of a call's agent has recorded: the file as it will arrive."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    incarnation: int = Field(ge=1, le=MAX_INCARNATION)
    duration_s: float = Field(ge=0)
    size_bytes: int = Field(ge=HEADER_BYTES, le=HEADER_BYTES + MAX_FRAMES * FRAME_BYTES)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class RecordingTarget(BaseModel):
    """Where to put it: with these headers at this address, or, without one, to the sidecar."""

    model_config = ConfigDict(frozen=True)

    key: str
    """Its name there, to be told with the confirmation."""
    url: str = ""
    """Valid for a quarter of an hour, and for this file alone. It is a secret."""
    headers: dict[str, str] = Field(default_factory=dict)


class CallsKept(BaseModel):
    """Calls that a host keeps something of; in the answer, those of them that were erased."""

    call_ids: list[str] = Field(max_length=1000)
