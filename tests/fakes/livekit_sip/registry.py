"""Trunks and dispatch rules, kept and matched by LiveKit's rules."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import TypeVar
from uuid import uuid4

from livekit import api

from tests.fakes.livekit_sip.failure import Failure

Item = TypeVar("Item", api.SIPInboundTrunkInfo, api.SIPOutboundTrunkInfo, api.SIPDispatchRuleInfo)


class Registry:
    """What the service has been told.

    Attributes:
        inbound, outbound, rules: by the service's name of each.
    """

    def __init__(self) -> None:
        self.inbound: dict[str, api.SIPInboundTrunkInfo] = {}
        self.outbound: dict[str, api.SIPOutboundTrunkInfo] = {}
        self.rules: dict[str, api.SIPDispatchRuleInfo] = {}

    def save_inbound(
        self, trunk: api.SIPInboundTrunkInfo, trunk_id: str = ""
    ) -> api.SIPInboundTrunkInfo:
        """Make or replace a trunk.

        Raises:
            Failure: it is open to everybody, or answers what another one does.
        """
        _require(self.inbound, trunk_id, "trunk")
        if not (
            trunk.auth_username or trunk.auth_password or trunk.allowed_addresses or trunk.numbers
        ):
            raise Failure("invalid_argument", "for security, one of the fields must be set")
        numbers = _keys(trunk.numbers)
        for other_id, other in self.inbound.items():
            if other_id != trunk_id and numbers & _keys(other.numbers):
                raise Failure("invalid_argument", "Conflicting inbound SIP Trunks")
        return _saved(self.inbound, trunk, trunk_id)

    def save_outbound(
        self, trunk: api.SIPOutboundTrunkInfo, trunk_id: str = ""
    ) -> api.SIPOutboundTrunkInfo:
        """Make or replace a trunk.

        Raises:
            Failure: it has no number, or no address.
        """
        _require(self.outbound, trunk_id, "trunk")
        if not trunk.numbers:
            raise Failure("invalid_argument", "no trunk numbers specified")
        if not trunk.address:
            raise Failure("invalid_argument", "no outbound address specified")
        return _saved(self.outbound, trunk, trunk_id)

    def save_rule(
        self, rule: api.SIPDispatchRuleInfo, rule_id: str = ""
    ) -> api.SIPDispatchRuleInfo:
        """Make or replace a rule.

        Raises:
            Failure: it does not say which rooms, or is for calls that another one is for.
        """
        _require(self.rules, rule_id, "dispatch rule")
        if rule.rule.WhichOneof("rule") is None:
            raise Failure("invalid_argument", "missing rule")
        trunk_ids = set(rule.trunk_ids) or {""}
        for other_id, other in self.rules.items():
            if other_id != rule_id and trunk_ids & (set(other.trunk_ids) or {""}):
                raise Failure("invalid_argument", "Dispatch rule for the same trunk exists")
        return _saved(self.rules, rule, rule_id)

    def trunk_of(self, dialled: str) -> api.SIPInboundTrunkInfo | None:
        """Return which trunk takes a call: one with the number, else one without any."""
        for trunk in self.inbound.values():
            if _keys([dialled]) & _keys(trunk.numbers):
                return trunk
        return next((trunk for trunk in self.inbound.values() if not trunk.numbers), None)

    def rule_of(self, trunk: api.SIPInboundTrunkInfo | None) -> api.SIPDispatchRuleInfo | None:
        """Return what becomes of a trunk's calls: by its own rule, else by the one for all."""
        for rule in self.rules.values():
            if trunk is not None and trunk.sip_trunk_id in rule.trunk_ids:
                return rule
        return next((rule for rule in self.rules.values() if not rule.trunk_ids), None)


def room_of(rule: api.SIPDispatchRuleInfo, caller: str, dialled: str) -> str:
    """Return the room a rule puts a call into."""
    kinds = rule.rule
    match kinds.WhichOneof("rule"):
        case "dispatch_rule_direct":
            return kinds.dispatch_rule_direct.room_name
        case "dispatch_rule_individual":
            one = kinds.dispatch_rule_individual
            return _named(one.room_prefix, caller, is_random=not one.no_randomness)
        case _:
            callee = kinds.dispatch_rule_callee
            return _named(callee.room_prefix, dialled, is_random=callee.randomize)


def _named(prefix: str, number: str, *, is_random: bool) -> str:
    name = f"{prefix}_{number}" if prefix else number
    return f"{name}_{uuid4().hex[:12]}" if is_random else name


def _keys(numbers: Iterable[str]) -> set[str]:
    """Return numbers as the service compares them; a trunk without any has the empty one."""
    return {f"+{number.lstrip('+')}" for number in numbers} or {""}


def _require(kept: Mapping[str, object], item_id: str, what: str) -> None:
    if item_id and item_id not in kept:
        raise Failure("not_found", f"requested sip {what} does not exist")


def _saved(kept: dict[str, Item], item: Item, item_id: str) -> Item:
    saved = copy.deepcopy(item)
    if isinstance(saved, api.SIPDispatchRuleInfo):
        item_id = item_id or f"SDR_{uuid4().hex[:12]}"
        saved.sip_dispatch_rule_id = item_id
    else:
        item_id = item_id or f"ST_{uuid4().hex[:12]}"
        saved.sip_trunk_id = item_id
    # As the service does, whatever it was told.
    saved.media.encryption = saved.media.encryption
    kept[item_id] = saved
    return saved


def listed(kept: Mapping[str, Item]) -> list[Item]:
    """Return everything there is."""
    return list(kept.values())
