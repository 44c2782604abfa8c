"""What a bot looks up during a call: the agent's question, and the sidecar's answer."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from contracts.ids import MAX_INCARNATION

MAX_QUESTION_CHARS = 1000


class KnowledgeQuestion(BaseModel):
    """What the agent of a call wants found in the bot's knowledge bases."""

    incarnation: int = Field(ge=1, le=MAX_INCARNATION)
    question: str = Field(max_length=MAX_QUESTION_CHARS)


class KnowledgePassage(BaseModel):
    """A piece of a document that may answer it."""

    model_config = ConfigDict(frozen=True)

    chunk_id: str
    document: str
    """The name of the file it is from."""
    score: float
    """The share of the question's words that it has, rare words counting more: 0 to 1."""
    text: str


class KnowledgeFound(BaseModel):
    """What was found, the best first; empty where nothing reaches the bot's threshold."""

    passages: list[KnowledgePassage]
