"""Whom a call may be transferred to, and what comes of it."""

from __future__ import annotations

import pytest

from bridges.leg import LegEvent
from bridges.sip.ipc import Bye, Over, Refer, Referred
from bridges.sip.transfer import TIMEOUT_S, refer_target
from contracts.command import Transfer
from contracts.outcome import Reason
from contracts.report import TransferFailed, TransferSent
from tests.fakes.sip_call import LEG, Phone, SipCall, incoming, sip_call
from tests.fakes.virtual_time import virtual_time

OFFER = Phone().offer()


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("+91 98765 43210", "+919876543210"),
        ("(011) 4000-0000", "01140000000"),
        ("*21#", "*21#"),
        ("sip:desk@pbx.example;transport=tcp", "sip:desk@pbx.example;transport=tcp"),
        ("SIPS:desk@pbx.example", "SIPS:desk@pbx.example"),
        (" tel:+911140000000 ", "tel:+911140000000"),
        ("", None),
        ("7", None),
        ("the desk", None),
        ("sip:", None),
        ("sip:desk@pbx.example>\r\nX-Evil: 1", None),
        ("http://pbx.example", None),
        ("9" * 40, None),
        ("\u0663" * 8, None),
    ],
)
def test_target_is_a_number_or_a_sip_address(text: str, target: str | None) -> None:
    assert refer_target(text) == target


def _transfers(events: list[LegEvent]) -> list[str]:
    words = []
    for event in events:
        if isinstance(event, TransferSent):
            words.append("sent")
        elif isinstance(event, TransferFailed):
            words.append(event.failed_reason)
    return words


async def _transfer(call: SipCall, *news: Referred | Over, to: str = "+91 98-765") -> None:
    await call.answered()
    call.leg.accept(Transfer(to=to))
    await call.news(*news)


def _refer(status: int, *, final: bool = False) -> Referred:
    return Referred(leg=LEG, status_code=status, is_final=final)


@virtual_time
async def test_transfer_that_succeeds_ends_the_call() -> None:
    async with sip_call(incoming(OFFER)) as call:
        await _transfer(call, _refer(202), _refer(180))
        assert call.orders_of(Refer) == [Refer(leg=LEG, to="+9198765", timeout_s=TIMEOUT_S)]
        assert _transfers(call.told) == ["sent"]
        await call.news(_refer(200, final=True), Over(leg=LEG, how="bye"))
        assert (await call.ending()).reason is Reason.TRANSFERRED
        assert _transfers(call.told) == ["sent"]


@virtual_time
async def test_transfer_told_by_its_outcome_alone_was_sent() -> None:
    async with sip_call(incoming(OFFER)) as call:
        await _transfer(call, _refer(200, final=True))
        assert (await call.ending()).reason is Reason.TRANSFERRED
        assert _transfers(call.told) == ["sent"]
        assert call.orders[-1] == Bye(leg=LEG)


@virtual_time
async def test_hanging_up_in_a_transfer_is_no_success() -> None:
    async with sip_call(incoming(OFFER)) as call:
        await _transfer(call, _refer(202), Over(leg=LEG, how="bye"))
        assert (await call.ending()).reason is Reason.CALLER_HUNG_UP


@pytest.mark.parametrize(
    ("news", "told"),
    [
        ([_refer(405, final=True)], ["SIP 405"]),
        ([_refer(202), _refer(486, final=True)], ["sent", "SIP 486"]),
        ([_refer(202), _refer(0, final=True)], ["sent", "the outcome was never told"]),
        ([_refer(486, final=True), _refer(200, final=True)], ["SIP 486"]),
    ],
)
@virtual_time
async def test_transfer_that_fails_lets_the_call_go_on(
    news: list[Referred], told: list[str]
) -> None:
    async with sip_call(incoming(OFFER)) as call:
        await _transfer(call, *news)
        assert _transfers(call.told) == told
        assert not call.run.done()
        call.leg.accept(Transfer(to="sip:desk@pbx.example"))
        assert call.orders_of(Refer)[-1].to == "sip:desk@pbx.example"


@virtual_time
async def test_transfer_that_cannot_be_asked_for_fails_at_once() -> None:
    async with sip_call(incoming(OFFER)) as call:
        call.leg.accept(Transfer(to="+911"))
        await call.answered()
        call.leg.accept(Transfer(to="the desk"))
        call.leg.accept(Transfer(to="+911"))
        call.leg.accept(Transfer(to="+912"))
        assert _transfers(call.told) == [
            "the call is not answered",
            "the target is neither a number nor a SIP address",
            "another transfer is under way",
        ]
        assert len(call.orders_of(Refer)) == 1
