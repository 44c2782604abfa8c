"""Symmetric RTP: from which address and source a call takes media, and so where it sends them.

The address in a description is wrong behind NAT, so media go to where they come from. That is only
safe as long as a stranger's packet cannot move them. The rules:

1. Only packets that are RTP of an agreed payload type count at all; the caller sees to that, and,
   where media are encrypted, to their being authentic.
2. The first of them latches, if its host is trusted: the one the peer's description names, or the
   one signalling comes from (`Trust.SIGNALLED`), or whatever host (`Trust.ANYONE`). Authentic
   packets are trusted from everywhere.
3. From then on only this address and source (SSRC) are taken; everything else is dropped.
4. Another source or address takes over if it is trusted and the latched one was silent for
   `RELATCH_AFTER_S`; the same source from another port of the same host may at once (a NAT that
   rebinds), if the packets are authentic.
5. A new description with another address releases the latch.
"""

from __future__ import annotations

from enum import Enum

RELATCH_AFTER_S = 0.5
"""Far above a network's jitter, below what a caller takes for a dead line. A carrier that hands a
call over to another gateway is silent for less than this but rarely."""

Address = tuple[str, int]


class Trust(Enum):
    """Whose packets may latch."""

    SIGNALLED = "signalled"
    ANYONE = "anyone"


class Latch:
    """Which address and source a call listens to.

    Attributes:
        address: where media come from; None before the first packet.
        ssrc: their source, None before the first packet.
    """

    def __init__(self, trust: Trust = Trust.SIGNALLED) -> None:
        self.address: Address | None = None
        self.ssrc: int | None = None
        self._trust = trust
        self._hosts: frozenset[str] = frozenset()
        self._remote: Address | None = None
        self._heard_at = 0.0

    @property
    def target(self) -> Address | None:
        """Where to send: where media come from, else where the peer says; None for nowhere."""
        return self.address or self._remote

    def expect(self, remote: Address | None, hosts: frozenset[str]) -> None:
        """Take a new description: where it says media go, and further hosts to trust."""
        if remote is not None and remote != self._remote:
            self.address = None
            self._remote = remote
        self._hosts = hosts | ({self._remote[0]} if self._remote else set())

    def admit(self, source: Address, ssrc: int, now: float, *, authentic: bool = False) -> bool:
        """Return whether to take a packet that suits the call; it may latch."""
        if (source, ssrc) != (self.address, self.ssrc):
            if not self._may_take_over(source, ssrc, now, authentic):
                return False
            self.address, self.ssrc = source, ssrc
        self._heard_at = now
        return True

    def _may_take_over(self, source: Address, ssrc: int, now: float, authentic: bool) -> bool:
        if not (authentic or self._trust is Trust.ANYONE or source[0] in self._hosts):
            return False
        if self.address is None or now - self._heard_at >= RELATCH_AFTER_S:
            return True
        return authentic and ssrc == self.ssrc
