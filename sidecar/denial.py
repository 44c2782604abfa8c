"""What the control plane answers when it says no: one exception with a code from a closed list."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Code(StrEnum):
    """Stable slugs of the one error body; `api.errors` gives each its HTTP status."""

    ALREADY_CLAIMED = "already_claimed"
    AT_CAPACITY = "at_capacity"
    BODY_INVALID = "body_invalid"
    BOT_EXISTS = "bot_exists"
    BOT_UNKNOWN = "bot_unknown"
    CALL_ENDED = "call_ended"
    CALL_ERASED = "call_erased"
    CALL_LIVE = "call_live"
    CALL_UNKNOWN = "call_unknown"
    CONFIG_INVALID = "config_invalid"
    CONFIG_UNAVAILABLE = "config_unavailable"
    FORBIDDEN = "forbidden"
    GAP = "gap"
    KEY_INACTIVE = "key_inactive"
    KEY_INVALID = "key_invalid"
    KEY_REUSED = "key_reused"
    KEY_UNKNOWN = "key_unknown"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NO_AGENT = "no_agent"
    NOT_FOUND = "not_found"
    NUMBER_TAKEN = "number_taken"
    NUMBER_UNKNOWN = "number_unknown"
    ORIGIN_REFUSED = "origin_refused"
    OUTSIDE_HOURS = "outside_hours"
    PLANNING = "planning"
    QUEUE_ITEM_UNKNOWN = "queue_item_unknown"
    RECORDING_DIFFERS = "recording_differs"
    ROOM_UNAVAILABLE = "room_unavailable"
    SECRET_WRONG = "secret_wrong"
    STALE_ATTEMPT = "stale_attempt"
    STALE_INCARNATION = "stale_incarnation"
    STANDBY_GONE = "standby_gone"
    STORE_UNAVAILABLE = "store_unavailable"
    TOO_MANY = "too_many"
    TRUNK_BUSY = "trunk_busy"
    TRUNK_EXISTS = "trunk_exists"
    TRUNK_IN_USE = "trunk_in_use"
    TRUNK_UNAVAILABLE = "trunk_unavailable"
    TRUNK_UNKNOWN = "trunk_unknown"
    UNAUTHORISED = "unauthorised"


class Denied(Exception):
    """The request cannot be granted.

    Attributes:
        code: which rule said so.
        message: what happened and what to do, for a person.
        details: facts beside the message.
        retry_after_s: when asking again makes sense, if it does.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details = dict(details or {})
        self.retry_after_s = retry_after_s
