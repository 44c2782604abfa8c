"""How well passages answer a question: the same figure whichever database found them.

A passage's score is the share of the question's words that it has, rare words counting more: 1 for
one that has them all, 0 for one that has none. Among equals the one that has them more densely is
first.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from sidecar.store import knowledge
from sidecar.store.knowledge import ChunkRow
from sidecar.terms import is_prefix, terms

MAX_TERMS = 16
CANDIDATES = 50
"""How many of those that the database thinks best are weighed."""
_PART = 0.8
"""What a longer word counts that only begins like the one asked for."""
_USUAL_TERMS = 150


@dataclass(frozen=True, slots=True)
class Found:
    """A passage, and how well it answers, 0 to 1."""

    chunk: ChunkRow
    score: float


async def search(
    connection: AsyncConnection,
    tenant_id: str,
    kb_ids: Sequence[str],
    question: str,
    *,
    top_k: int,
    threshold: float,
) -> list[Found]:
    """Return the passages of a tenant's knowledge bases that answer best, the best first.

    Args:
        connection: the database.
        tenant_id: whose question it is: nobody else's passages are looked at.
        kb_ids: where to look; those that are not the tenant's, or not active, are passed over.
        question: what is asked, in any words.
        top_k: how many to return at most.
        threshold: the least score.
    """
    asked = list(dict.fromkeys(terms(question)))[:MAX_TERMS]
    active = await knowledge.active_among(connection, tenant_id, kb_ids)
    if not (asked and active):
        return []
    total = await knowledge.count_chunks(connection, active)
    weights = {
        term: weight(total, await knowledge.count_chunks(connection, active, term))
        for term in asked
    }
    candidates = await knowledge.best_chunks(connection, active, asked, CANDIDATES)
    ranked = sorted(
        (_ranked(chunk, weights) for chunk in candidates), key=lambda each: each[0], reverse=True
    )
    found = [Found(chunk, round(score, 3)) for (score, _), chunk in ranked]
    return [each for each in found if each.score > 0 and each.score >= threshold][:top_k]


def weight(total: int, having: int) -> float:
    """Return how much a word counts that so many of all passages have."""
    return 1 + math.log((total + 1) / (having + 1))


def merit(passage: Sequence[str], weights: Mapping[str, float]) -> tuple[float, float]:
    """Return a passage's score, and how densely it has what was asked for."""
    counts = Counter(passage)
    score = density = 0.0
    length = len(passage) / _USUAL_TERMS
    for term, each in weights.items():
        times = float(counts[term])
        share = 1.0 if times else 0.0
        if not times and is_prefix(term):
            times = _PART * sum(many for word, many in counts.items() if word.startswith(term))
            share = _PART if times else 0.0
        score += each * share
        density += each * times / (times + 1 + length)
    return score / sum(weights.values()), density


def _ranked(chunk: ChunkRow, weights: Mapping[str, float]) -> tuple[tuple[float, float], ChunkRow]:
    return merit(chunk.terms.split(), weights), chunk
