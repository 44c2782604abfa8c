"""Who may stream to a bot: its token and its list of addresses, pure."""

from __future__ import annotations

import hmac
from datetime import datetime
from ipaddress import ip_address, ip_network

from contracts.bot import BotConfig
from contracts.ids import Channel
from contracts.plan import PlanRequest
from sidecar import ticket
from sidecar.denial import Code, Denied

_STREAMS = frozenset({Channel.WEBSOCKET, Channel.EXOTEL})


def admit(
    config: BotConfig, request: PlanRequest, *, anonymous: bool, secret: str, now: datetime
) -> None:
    """Let the peer of a stream door in.

    Args:
        config: the bot it wants.
        request: what it showed.
        anonymous: whether bots that do not say so themselves are open to peers without a token.
        secret: what tickets to Exotel's door are signed with.
        now: the time.

    Raises:
        Denied: its token or address is not the bot's.
    """
    if request.channel not in _STREAMS:
        return
    if config.stream_allowed_ips and not _is_allowed(request.peer_ip, config.stream_allowed_ips):
        raise Denied(Code.UNAUTHORISED, "this address may not stream to the bot")
    if config.stream_token:
        shown = request.presented_token
        is_ticket = request.channel is Channel.EXOTEL and ticket.holds(
            secret, shown, request.bot_id, now
        )
        if not (is_ticket or same_secret(shown, config.stream_token)):
            raise Denied(Code.UNAUTHORISED, "the stream token is missing or wrong")
        return
    open_to_all = anonymous if config.stream_anonymous is None else config.stream_anonymous
    if not open_to_all:
        raise Denied(Code.UNAUTHORISED, "the bot has no stream_token and is not anonymous")


def same_secret(shown: str, secret: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(shown.encode(), secret.encode())


def _is_allowed(peer_ip: str, allowed: list[str]) -> bool:
    try:
        peer = ip_address(peer_ip)
        return any(peer in ip_network(network, strict=False) for network in allowed)
    except ValueError:
        return False
