"""Which of a bot's transfer targets a request means, pure."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.bot import BotConfig, TransferTarget
from contracts.ids import Channel

PASSTHRU = "exotel_passthru"
"""The socket is closed, and Exotel's flow asks whether to connect the caller to somebody."""
TRUSTED_METHODS = frozenset({"websocket_reverse_transfer", PASSTHRU})
"""Neither a dialler nor a flow says how it went: what was sent to them counts as done."""
METHODS: dict[Channel, str] = {
    Channel.WEBSOCKET: "websocket_reverse_transfer",
    Channel.EXOTEL: PASSTHRU,
    Channel.SIP: "livekit_sip_refer",
    Channel.DIALOUT: "livekit_sip_refer",
    Channel.ATTACH: "livekit_sip_refer",
}
"""How each door hands a caller over by the carrier's own means; a door not listed cannot."""


class TransferTargetError(Exception):
    """No target fits.

    Attributes:
        requested: what was asked for, "" for the default.
        available: labels (or ids) that would have been possible.
    """

    def __init__(self, requested: str, available: Sequence[str]) -> None:
        wanted = f"transfer target {requested!r}" if requested else "a default transfer target"
        super().__init__(f"{wanted} is not among: {', '.join(available) or 'none'}")
        self.requested = requested
        self.available = tuple(available)


def resolve_target(config: BotConfig, channel: Channel, requested: str = "") -> TransferTarget:
    """Return the target a transfer goes to.

    A requested one is matched by id, then label, then as a key of the legacy `transfer_numbers`,
    without regard to case. Nothing requested means the default target, else the only one there is,
    else the legacy entry `default` or the only legacy entry.

    Raises:
        TransferTargetError: nothing fits, or the choice would be a guess.
    """
    method = METHODS.get(channel, "")
    targets = [t for t in config.transfer_targets if t.enabled and t.method == method]
    if method:
        targets += [
            TransferTarget.model_validate(
                {"id": label, "label": label, "method": method, "value": number}
            )
            for label, number in config.transfer_numbers.items()
            if number
        ]
    available = [target.label or target.id or target.value for target in targets]
    wanted = requested.strip().casefold()
    if wanted:
        for target in targets:
            if wanted in (target.id.casefold(), target.label.casefold()):
                return target
        raise TransferTargetError(requested, available)
    for target in targets:
        if target.is_default or target.id == "default":
            return target
    if len(targets) == 1:
        return targets[0]
    raise TransferTargetError("", available)
