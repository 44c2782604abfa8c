"""The calls that signalling has, by the names their two sides know them by."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from bridges.sip.media_link import MediaLink
from bridges.wire.sip.event import CallHandle


@dataclass(eq=False, slots=True)
class Leg:
    """One call's carrier side.

    Attributes:
        name: what its media process calls it.
        call: what the endpoint calls it.
        link: its media process.
        is_inbound: who called.
        sip_call_id: the peer's Call-ID where it called.
        trunk_id: by which trunk, `""` for none.
        far_host: where a number of the far end's is to be looked for.
        is_answered: whether there is a call to hang up.
        rang: whether a dialled phone rang.
        timer: what happens if nobody answers.
    """

    name: str
    call: CallHandle
    link: MediaLink
    is_inbound: bool
    sip_call_id: str = ""
    trunk_id: str = ""
    far_host: str = ""
    is_answered: bool = False
    rang: bool = False
    timer: asyncio.TimerHandle | None = None


class LegTable:
    """All legs."""

    def __init__(self) -> None:
        self._by_name: dict[str, Leg] = {}
        self._by_call: dict[CallHandle, Leg] = {}

    def add(self, leg: Leg) -> None:
        """Take a leg in."""
        self._by_name[leg.name] = leg
        self._by_call[leg.call] = leg
        leg.link.legs.add(leg.name)

    def remove(self, leg: Leg) -> None:
        """Forget a leg and what waits for its answer."""
        del self._by_name[leg.name]
        del self._by_call[leg.call]
        leg.link.legs.discard(leg.name)
        if leg.timer is not None:
            leg.timer.cancel()

    def named(self, name: str) -> Leg | None:
        """Return the leg that a media process means."""
        return self._by_name.get(name)

    def of_call(self, call: CallHandle) -> Leg | None:
        """Return the leg that the endpoint means."""
        return self._by_call.get(call)

    def of_link(self, link: MediaLink) -> list[Leg]:
        """Return a media process's legs."""
        return [self._by_name[name] for name in sorted(link.legs)]

    def __len__(self) -> int:
        return len(self._by_name)

    def __iter__(self) -> Iterator[Leg]:
        return iter(list(self._by_name.values()))
