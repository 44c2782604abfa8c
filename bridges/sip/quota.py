"""How much one address may ask of us: a token bucket each, and a bound on how many are kept."""

from __future__ import annotations

from dataclasses import dataclass

MAX_ADDRESSES = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class Quota:
    """Token buckets by address; one that is full again is forgotten.

    Args:
        rate: tokens a second.
        burst: what a bucket holds.
        max_addresses: how many are watched; above it the one unseen for longest is forgotten,
            which gives it a full bucket: what floods is seen all the time.
    """

    def __init__(self, rate: float, burst: float, max_addresses: int = MAX_ADDRESSES) -> None:
        self._rate = rate
        self._burst = burst
        self._max_addresses = max_addresses
        self._buckets: dict[str, _Bucket] = {}  # the one seen last stands last

    def take(self, address: str, now: float, tokens: float = 1.0) -> bool:
        """Take tokens and return True, or return False if there are not enough."""
        bucket = self._filled(address, now)
        if bucket.tokens < tokens:
            return False
        bucket.tokens -= tokens
        return True

    def charge(self, address: str, now: float, tokens: float) -> None:
        """Take tokens for what is done already, even if they are not there: the debt is waited for.

        `wait_s` says how long.
        """
        self._filled(address, now).tokens -= tokens

    def wait_s(self, address: str, now: float, tokens: float = 1.0) -> float:
        """Return in how long so many tokens will be there; 0: now."""
        missing = tokens - self._filled(address, now).tokens
        return max(0.0, missing / self._rate)

    def __len__(self) -> int:
        return len(self._buckets)

    def _filled(self, address: str, now: float) -> _Bucket:
        bucket = self._buckets.pop(address, None)
        if bucket is None:
            bucket = _Bucket(self._burst, now)
            if len(self._buckets) >= self._max_addresses:
                del self._buckets[next(iter(self._buckets))]
        else:
            gained = (now - bucket.filled_at) * self._rate
            bucket.tokens = min(self._burst, bucket.tokens + gained)
            bucket.filled_at = now
        self._buckets[address] = bucket
        return bucket
