"""Who may stream to a bot."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.bot import BotConfig
from contracts.ids import Channel
from contracts.plan import PlanRequest
from sidecar.admission import admit, same_secret
from sidecar.denial import Code, Denied
from sidecar.ticket import LIFETIME, issue
from tests.fakes.control_plane import START


def is_admitted(
    bot: dict[str, Any], *, anonymous: bool = False, channel: Channel = Channel.EXOTEL, **shown: str
) -> bool:
    request = PlanRequest(channel=channel, bot_id="desk", idempotency_key="k", **shown)
    try:
        admit(
            BotConfig.model_validate(bot), request, anonymous=anonymous, secret="s3cret", now=START
        )
    except Denied as denied:
        return denied.code is not Code.UNAUTHORISED
    return True


@pytest.mark.parametrize(
    ("bot", "anonymous", "token", "admitted"),
    [
        ({"stream_token": "right"}, True, "right", True),
        ({"stream_token": "right"}, True, "wrong", False),
        ({"stream_token": "right"}, True, "", False),
        ({"stream_token": "right", "stream_anonymous": True}, True, "", False),
        ({}, False, "", False),
        ({}, True, "", True),
        ({"stream_anonymous": True}, False, "", True),
        ({"stream_anonymous": False}, True, "", False),
    ],
)
def test_token(bot: dict[str, Any], anonymous: bool, token: str, admitted: bool) -> None:
    assert is_admitted(bot, anonymous=anonymous, presented_token=token) is admitted


@pytest.mark.parametrize(
    ("peer_ip", "admitted"),
    [("10.1.2.3", True), ("192.0.2.7", True), ("192.0.2.8", False), ("::1", False), ("", False)],
)
def test_address(peer_ip: str, admitted: bool) -> None:
    bot = {"stream_anonymous": True, "stream_allowed_ips": ["10.0.0.0/8", "192.0.2.7"]}
    assert is_admitted(bot, peer_ip=peer_ip) is admitted


def test_list_of_addresses_that_cannot_be_read_admits_nobody() -> None:
    bot = {"stream_anonymous": True, "stream_allowed_ips": ["not a network"]}
    assert not is_admitted(bot, peer_ip="10.0.0.1")


def test_other_doors_have_keys_of_their_own() -> None:
    assert is_admitted({"stream_token": "right"}, channel=Channel.WEB)


def test_ticket_stands_in_for_the_token_at_exotels_door() -> None:
    bot = {"stream_token": "right"}
    good = issue("s3cret", "desk", START + LIFETIME)
    assert is_admitted(bot, presented_token=good)
    assert not is_admitted(bot, presented_token=issue("s3cret", "desk", START - LIFETIME))
    assert not is_admitted(bot, presented_token=issue("s3cret", "sales", START + LIFETIME))
    assert not is_admitted(bot, presented_token=issue("guess", "desk", START + LIFETIME))
    assert not is_admitted(bot, presented_token=good, channel=Channel.WEBSOCKET)


def test_ticket_opens_no_bot_that_has_no_token() -> None:
    good = issue("s3cret", "desk", START + LIFETIME)
    assert not is_admitted({}, presented_token=good)


def test_ticket_helps_nobody_from_elsewhere() -> None:
    bot = {"stream_token": "right", "stream_allowed_ips": ["192.0.2.0/24"]}
    good = issue("s3cret", "desk", START + LIFETIME)
    assert is_admitted(bot, presented_token=good, peer_ip="192.0.2.1")
    assert not is_admitted(bot, presented_token=good, peer_ip="198.51.100.1")


def test_secrets_beyond_ascii_compare() -> None:
    assert same_secret("schlüssel", "schlüssel")
    assert not same_secret("schlüssel", "schlussel")
