"""By which trunk a call goes out, and whose number it shows: always the same for the same trunks.

Pure: the trunks are passed in, the oldest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.trunk import Trunk
from sidecar import callee
from sidecar.denial import Code, Denied


@dataclass(frozen=True, slots=True)
class Route:
    """A trunk, and the caller id to show on it, in its normal form; "" where it has none."""

    trunk: Trunk
    from_number: str


def choose(
    trunks: Sequence[Trunk],
    *,
    from_number: str = "",
    of_bot: Sequence[tuple[str, str]] = (),
    country: str = "",
) -> Route:
    """Return the way out.

    A trunk that has the number asked for; else the bot's own number, by the trunk it comes in; else
    the oldest trunk, and its first number. A caller id that no trunk has is not replaced by another
    one: who is called would be shown a stranger's.

    Args:
        trunks: the tenant's.
        from_number: the caller id asked for, in its normal form; "": any.
        of_bot: `(number, trunk_id)` of the bot's own numbers.
        country: whose national numbers the trunks' are.

    Raises:
        Denied: there is none.
    """
    ways = [trunk for trunk in trunks if can_dial(trunk)]
    if from_number:
        asked = _plain(from_number, country)
        for trunk in ways:
            if asked in _caller_ids(trunk, of_bot, country):
                return Route(trunk, from_number)
        raise Denied(Code.TRUNK_UNKNOWN, "no active trunk has this from_number")
    by_id = {trunk.trunk_id: trunk for trunk in ways}
    for number, trunk_id in of_bot:
        if trunk_id in by_id:
            return Route(by_id[trunk_id], number)
    if not ways:
        raise Denied(
            Code.TRUNK_UNAVAILABLE, "there is no active trunk to dial by; add one under trunks"
        )
    return by(ways[0], country=country)


def by(trunk: Trunk, *, country: str = "") -> Route:
    """Return the way out by one trunk, with its first number."""
    return Route(trunk, _normal(trunk.numbers[0], country) if trunk.numbers else "")


def can_dial(trunk: Trunk) -> bool:
    """Return whether calls may go out by a trunk at all."""
    return trunk.is_active and bool(trunk.address)


def _caller_ids(trunk: Trunk, of_bot: Sequence[tuple[str, str]], country: str) -> set[str]:
    own = [number for number, trunk_id in of_bot if trunk_id == trunk.trunk_id]
    return {_plain(_normal(number, country), country) for number in (*own, *trunk.numbers)}


def _plain(number: str, country: str) -> str:
    """Return the form in which two spellings of one number are the same."""
    return callee.formatted(number, "plain", country)


def _normal(number: str, country: str) -> str:
    try:
        return callee.normal(number, country)
    except callee.NotCallable:
        return number
