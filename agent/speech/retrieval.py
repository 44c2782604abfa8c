"""Finds the written answer to a caller's question by likeness; it never makes one up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.speech.phrase import content, normal, trigrams

_WORD_WEIGHT = 0.65
"""Words against trigrams: words know what matters, trigrams forgive what was misheard."""

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Found:
    """The best entry: which one, and how alike it is (0 to 1)."""

    index: int
    score: float


class Retriever:
    """An index over entries of several example questions each; an entry is as alike as its best
    question.
    """

    def __init__(self, entries: Sequence[Sequence[str]]) -> None:
        questions = [(at, text) for at, texts in enumerate(entries) for text in texts]
        self._owners = [at for at, _ in questions]
        self._words = _Space([Counter(content(text)) for _, text in questions])
        self._grams = _Space([trigrams(normal(text)) for _, text in questions])

    def find(self, text: str, allowed: Callable[[int], bool]) -> Found | None:
        """Return the allowed entry most like `text`, however little; None if there is none."""
        if not any(allowed(owner) for owner in self._owners):
            return None
        words = self._words.similarity(Counter(content(text)))
        grams = self._grams.similarity(trigrams(normal(text)))
        scores = _WORD_WEIGHT * words + (1 - _WORD_WEIGHT) * grams
        scores *= [allowed(owner) for owner in self._owners]
        at = int(np.argmax(scores))
        return Found(self._owners[at], float(scores[at]))


class _Space:
    """Unit vectors over features, each weighted by how rare it is."""

    def __init__(self, documents: Sequence[Counter[str]]) -> None:
        features = sorted({feature for document in documents for feature in document})
        self._columns = {feature: at for at, feature in enumerate(features)}
        frequency = np.zeros(len(features), np.float32)
        for document in documents:
            for feature in document:
                frequency[self._columns[feature]] += 1
        count = max(len(documents), 1)
        self._weights = np.log1p(count / np.maximum(frequency, 1)).astype(np.float32)
        self._rare = float(np.log1p(count))
        vectors = [self._vector(document) for document in documents]
        self._matrix = np.stack(vectors) if vectors else np.zeros((0, 0), np.float32)

    def similarity(self, document: Counter[str]) -> Vector:
        result: Vector = self._matrix @ self._vector(document)
        return result

    def _vector(self, document: Counter[str]) -> Vector:
        vector = np.zeros(len(self._columns), np.float32)
        unknown = 0.0
        for feature, count in document.items():
            column = self._columns.get(feature)
            if column is None:
                unknown += self._rare**2
            else:
                vector[column] = self._weights[column] * np.sqrt(count)
        # Unknown features count in the length, or one known word among many strange ones would be a
        # perfect match.
        norm = float(np.sqrt(np.dot(vector, vector) + 0.5 * unknown))
        return vector / norm if norm else vector
