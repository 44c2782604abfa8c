"""Tasks on the wire: an answer says one thing."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from contracts.engines import LlmConfig
from contracts.plan import HistoryLine
from contracts.task import Task, TaskAnswer, TaskKind


def test_task_survives_the_wire() -> None:
    task = Task(
        task_id="c1-qc",
        call_id="c1",
        kind=TaskKind.QC,
        attempt=2,
        lease_s=30.0,
        llm=LlmConfig(provider="openai", api_key="sk", model="m"),
        prompt="How well?",
        transcript=[HistoryLine(speaker="customer", text="Hello.")],
    )
    assert Task.model_validate_json(task.model_dump_json()) == task


@pytest.mark.parametrize("said", [{"result": {}}, {"result": {"A": 1}}, {"error": "TimeoutError"}])
def test_answer_is_a_result_or_an_error(said: dict[str, Any]) -> None:
    answer = TaskAnswer(worker_id="w1", attempt=1, **said)
    assert TaskAnswer.model_validate_json(answer.model_dump_json()) == answer


@pytest.mark.parametrize(
    "said", [{}, {"result": {}, "error": "both"}, {"result": [1]}, {"error": "x", "attempt": 0}]
)
def test_answer_that_says_nothing_both_or_nonsense_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TaskAnswer.model_validate({"worker_id": "w1", "attempt": 1, **said})
