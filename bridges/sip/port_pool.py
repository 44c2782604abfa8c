"""UDP ports for media: even ones for RTP, the odd ones above for RTCP, none reused too soon."""

from __future__ import annotations

from collections import deque

COOLDOWN_S = 30.0
"""How long a port rests after a call: its peer may still send, and whoever gets the port next would
hear it."""


class PortsExhausted(Exception):
    """Every port is in use or rests: refuse the call."""


class PortPool:
    """The even ports of a range, given out in turn.

    Args:
        first: lowest port that may be used.
        last: highest port that may be used, an RTCP port included.
    """

    def __init__(self, first: int, last: int, *, cooldown_s: float = COOLDOWN_S) -> None:
        self._cooldown_s = cooldown_s
        self._free = deque(range(first + first % 2, last, 2))
        self._resting: deque[tuple[float, int]] = deque()

    @property
    def size(self) -> int:
        """How many ports are neither in use nor resting, as of the last `take`."""
        return len(self._free)

    def take(self, now: float) -> int:
        """Return the port that was not used for longest.

        Raises:
            PortsExhausted: there is none.
        """
        while self._resting and self._resting[0][0] <= now:
            self._free.append(self._resting.popleft()[1])
        if not self._free:
            raise PortsExhausted
        return self._free.popleft()

    def give_back(self, port: int, now: float) -> None:
        """Let a port rest that `take` returned."""
        self._resting.append((now + self._cooldown_s, port))
