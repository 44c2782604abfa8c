"""How often a stranger may ask: a bucket of tokens for each name, and never too many names. Pure.

Kept by each process for itself: what it bounds is that process's work, not a right to be shared.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from ipaddress import IPv6Address, ip_address, ip_network

from sidecar.trunk_pace import Bucket

MAX_NAMES = 10_000
"""Beyond it the name is forgotten that was longest not heard of."""
IPV6_PREFIX = 64
"""One customer of a provider has as many addresses as that leaves open."""


class Quota:
    """So many a minute under each name, all at once if they like.

    Args:
        per_minute: how many.
        max_names: how many names are remembered.
    """

    def __init__(self, per_minute: int, *, max_names: int = MAX_NAMES) -> None:
        self._per_minute = per_minute
        self._max_names = max_names
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, name: str, now: datetime) -> None:
        """Count one more.

        Raises:
            Empty: that is too many; it says after how long there will be one again.
        """
        bucket = self._buckets.pop(name, Bucket(0.0, None))
        try:
            bucket = bucket.taken(now, cps=self._per_minute / 60, burst=self._per_minute)
        finally:
            self._buckets[name] = bucket
            if len(self._buckets) > self._max_names:
                self._buckets.popitem(last=False)


def asker_of(address: str) -> str:
    """Return what an address is counted as: itself, or the network that one customer has."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ip_network((int(parsed), IPV6_PREFIX), strict=False))
    return str(parsed)
