"""Work after a call: what the sidecar hands an agent worker, and what comes back."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.engines import LlmConfig, PromptParts
from contracts.ids import MAX_INCARNATION
from contracts.plan import HistoryLine


class TaskKind(StrEnum):
    """What the bot's language model is asked for."""

    ANALYSIS = "analysis"
    QC = "qc"


class TaskClaim(BaseModel):
    """A worker asks for a task."""

    worker_id: str


class Task(BaseModel):
    """One question about one call. The answer is due within `lease_s`, or somebody else is asked.

    `attempt` fences the answer: one to an earlier attempt is refused.
    """

    model_config = ConfigDict(frozen=True)

    task_id: str
    call_id: str
    kind: TaskKind
    attempt: int = Field(ge=1, le=MAX_INCARNATION)
    lease_s: float
    llm: LlmConfig
    prompt: str
    """What to find out, and the shape of the answer: JSON."""
    transcript: list[HistoryLine]
    kept: PromptParts | None = None
    """How the vendor keeps the prompt, where the bot wants that; what is not kept of it stands in
    `dynamic_runtime_prompt`."""


class TaskAnswer(BaseModel):
    """What the model said. Exactly one of `result` and `error` is set.

    `result` is its JSON object as it came; where it gave none even when asked again, what it said
    stands under `raw`.
    """

    worker_id: str
    attempt: int = Field(ge=1, le=MAX_INCARNATION)
    result: dict[str, Any] | None = None
    error: str | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.result is None) == (self.error is None):
            raise ValueError("give result or error, and not both")
        return self
