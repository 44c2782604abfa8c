"""`contracts.transfer`: which target a request means, and that nothing is guessed."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from contracts.bot import BotConfig
from contracts.ids import Channel
from contracts.transfer import METHODS, TransferTargetError, resolve_target

BILLING = {"id": "billing", "label": "Billing desk", "value": "+911"}
SALES = {"id": "sales", "label": "Sales", "value": "+912", "is_default": True}
PASSTHRU = {"id": "desk", "method": "exotel_passthru", "value": "+91 80 4567 8900"}
REFER = {"id": "sip", "method": "livekit_sip_refer", "value": "+913"}
CLOSED = {"id": "closed", "value": "+914", "enabled": False}


def config(*targets: Mapping[str, object], **numbers: str) -> BotConfig:
    return BotConfig.model_validate({"transfer_targets": targets, "transfer_numbers": numbers})


@pytest.mark.parametrize(
    ("requested", "value"),
    [
        ("billing", "+911"),
        (" BILLING ", "+911"),
        ("billing desk", "+911"),
        ("legacy", "+919"),
        ("", "+912"),
    ],
)
def test_request_finds_its_target(requested: str, value: str) -> None:
    bot = config(BILLING, SALES, REFER, CLOSED, legacy="+919")
    assert resolve_target(bot, Channel.WEBSOCKET, requested).value == value


def test_id_is_found_on_its_own_door_only() -> None:
    bot = config(BILLING, REFER)
    assert resolve_target(bot, Channel.DIALOUT, "sip").value == "+913"
    with pytest.raises(TransferTargetError):
        resolve_target(bot, Channel.WEBSOCKET, "sip")


def test_exotel_hands_over_to_targets_of_its_own_and_to_the_legacy_numbers() -> None:
    bot = config(BILLING, REFER, PASSTHRU, legacy="+919")
    found = resolve_target(bot, Channel.EXOTEL, "desk")
    assert (found.method, found.value) == ("exotel_passthru", "+91 80 4567 8900")
    legacy = resolve_target(bot, Channel.EXOTEL, "legacy")
    assert (legacy.method, legacy.value) == ("exotel_passthru", "+919")
    with pytest.raises(TransferTargetError, match="not among: desk, legacy"):
        resolve_target(bot, Channel.EXOTEL, "billing")


def test_only_target_is_the_default() -> None:
    assert resolve_target(config(BILLING, CLOSED), Channel.WEBSOCKET).value == "+911"


def test_legacy_entry_named_default_is_the_default() -> None:
    bot = config(BILLING, default="+919")
    assert resolve_target(bot, Channel.WEBSOCKET).value == "+919"


def test_empty_legacy_number_is_no_target() -> None:
    with pytest.raises(TransferTargetError, match="not among: none"):
        resolve_target(config(default=""), Channel.WEBSOCKET)


def test_choice_between_equals_is_not_guessed() -> None:
    with pytest.raises(TransferTargetError, match="a default transfer target") as caught:
        resolve_target(config(BILLING, {"value": "+915"}), Channel.WEBSOCKET)
    assert (caught.value.requested, caught.value.available) == ("", ("Billing desk", "+915"))


@pytest.mark.parametrize("requested", ["nowhere", "closed", "sip"])
def test_unknown_request_names_what_there_is(requested: str) -> None:
    with pytest.raises(TransferTargetError, match="Billing desk, Sales") as caught:
        resolve_target(config(BILLING, SALES, REFER, CLOSED), Channel.WEBSOCKET, requested)
    assert caught.value.requested == requested


def test_web_door_cannot_hand_over() -> None:
    assert Channel.WEB not in METHODS
    with pytest.raises(TransferTargetError):
        resolve_target(config(BILLING, default="+919"), Channel.WEB, "billing")
