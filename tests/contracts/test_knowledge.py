"""Questions of agents: bounded, and of one incarnation."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from contracts.knowledge import MAX_QUESTION_CHARS, KnowledgeFound, KnowledgeQuestion


@pytest.mark.parametrize(
    "fields",
    [
        {"incarnation": 0, "question": "q"},
        {"incarnation": 1, "question": "q" * (MAX_QUESTION_CHARS + 1)},
        {"incarnation": 1},
    ],
)
def test_question_out_of_bounds_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        KnowledgeQuestion.model_validate(fields)


def test_answer_survives_the_wire() -> None:
    passage = {"chunk_id": "doc_a_chunk_0", "document": "faq.md", "score": 0.5, "text": "t"}
    found = KnowledgeFound.model_validate({"passages": [passage]})
    assert KnowledgeFound.model_validate_json(found.model_dump_json()) == found
