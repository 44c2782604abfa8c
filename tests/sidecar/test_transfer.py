"""Transfers by LiveKit SIP: through, refused, silent, and a hang-up that looks like success."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import pytest

from contracts.call import CallState
from contracts.command import CommandReceipt, Transfer
from contracts.ids import Channel
from contracts.outcome import Reason
from contracts.report import AgentEnded, LegEnded, Source, TransferStarted
from sidecar.livekit_sip import SipError, SipRefused, SipUnavailable
from sidecar.store.calls import CallRow
from sidecar.transfer import GONE, HUNG_UP, IN_HAND, NO_TARGET, Transfers, refer_uri
from tests.fakes.control_plane import ControlPlane
from tests.fakes.sip_service import FakeSip

TO = Transfer(to="+14155550123", target="Front desk")


@dataclass
class World:
    plane: ControlPlane
    sip: FakeSip
    transfers: Transfers
    call_id: str = ""

    async def row(self) -> CallRow:
        return await self.plane.row(self.call_id)

    async def begin(self) -> None:
        """Let the agent tell that it hands the caller over."""
        at = self.plane.clock.advance(1)
        started = TransferStarted(at=at, destination=TO.to, method="livekit_sip_refer")
        await self.plane.report(self.call_id, Source.AGENT, 3, started)

    async def transfer(self, command: Transfer = TO) -> CommandReceipt:
        return await self.transfers.transfer(await self.row(), command)

    async def result(self) -> dict[str, object]:
        """End the call and return its result."""
        at = self.plane.clock.advance(2)
        ended = AgentEnded(at=at, reason=Reason.CALLER_HUNG_UP)
        await self.plane.report(self.call_id, Source.AGENT, 4, ended)
        row = await self.row()
        if not row.is_ended:
            await self.plane.calls.finish(row, None)
        result = await self.plane.result(self.call_id)
        assert result is not None
        return result


@pytest.fixture
async def world(plane: ControlPlane) -> World:
    sip = FakeSip()
    transfers = Transfers(plane.database, plane.calls, sip, clock=plane.clock, bells=plane.bells)
    world = World(plane, sip, transfers)
    await plane.ready()
    world.call_id = await plane.talking(channel=Channel.DIALOUT)
    row = await world.row()
    sip.statuses[row.room_name, row.caller_identity] = "active"
    return world


async def test_caller_who_is_still_there_was_put_through(world: World) -> None:
    await world.begin()
    assert await world.transfer() == CommandReceipt(done=True)
    row = await world.row()
    assert world.sip.transfers == [(row.room_name, row.caller_identity, "tel:+14155550123")]
    result = await world.result()
    assert (result["disconnected_by"], result["was_transferred"]) == ("bot", True)
    assert result["transfer_failed_reason"] is None
    assert (await world.row()).end_reason is Reason.TRANSFERRED


@pytest.mark.parametrize("status", ["hangup", None])
async def test_caller_who_hung_up_meanwhile_was_not(world: World, status: str | None) -> None:
    await world.begin()
    row = await world.row()

    async def hang_up() -> None:
        # The service says yes all the same.
        world.sip.statuses[row.room_name, row.caller_identity] = status

    world.sip.on_transfer = hang_up
    assert await world.transfer() == CommandReceipt(done=False, failed_reason=HUNG_UP)
    result = await world.result()
    assert (result["disconnected_by"], result["was_transferred"]) == ("customer", False)
    assert result["transfer_failed_reason"] == HUNG_UP


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (SipRefused("resource_exhausted", "Busy Here", 486), "486 Busy Here"),
        (SipRefused("invalid_argument", "Method Not Allowed", 405), "405 Method Not Allowed"),
        (
            SipRefused("deadline_exceeded"),
            "the carrier did not say within 30 s that it came about",
        ),
        (SipRefused("not_found"), "the caller is gone"),
        (
            SipRefused("failed_precondition", "can't transfer non established call"),
            "LiveKit SIP refused it: can't transfer non established call",
        ),
        (SipUnavailable("TimeoutError"), "LiveKit SIP did not answer (TimeoutError)"),
    ],
)
async def test_failure_gives_the_caller_back_and_says_why(
    world: World, error: SipError, why: str
) -> None:
    await world.begin()

    async def refuse() -> None:
        raise error

    world.sip.on_transfer = refuse
    assert await world.transfer() == CommandReceipt(done=False, failed_reason=why)
    row = await world.row()
    assert (row.state, row.leg_ended) == (CallState.TALKING, False)
    result = await world.result()
    assert (result["was_transferred"], result["transfer_failed_reason"]) == (False, why)


async def test_whether_the_caller_was_there_must_be_known(world: World) -> None:
    await world.begin()

    async def fall_silent() -> None:
        world.sip.failure = SipUnavailable("away")

    world.sip.on_transfer = fall_silent
    receipt = await world.transfer()
    assert not receipt.done
    assert (await world.result())["was_transferred"] is False


async def test_outcome_never_overtakes_the_agent_s_own_report(world: World) -> None:
    async def refuse() -> None:
        raise SipRefused("invalid_argument", "Method Not Allowed", 405)

    world.sip.on_transfer = refuse
    refused = asyncio.create_task(world.transfer())
    await world.sip.asked_for("transfer")
    assert not refused.done()
    await world.begin()
    assert not (await refused).done
    assert (await world.row()).state is CallState.TALKING


async def test_target_that_is_no_address_is_refused_before_anybody_is_asked(world: World) -> None:
    await world.begin()
    receipt = await world.transfer(Transfer(to="the front desk\r\nX: y"))
    assert receipt == CommandReceipt(done=False, failed_reason=NO_TARGET)
    assert world.sip.transfers == []


async def test_asked_again_it_is_the_same_transfer_and_another_is_refused(world: World) -> None:
    await world.begin()
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    world.sip.on_transfer = wait
    first = asyncio.create_task(world.transfer())
    await world.sip.asked_for("transfer")
    # Whoever asked has left; the carrier has not.
    first.cancel()
    await asyncio.wait({first})
    # Read before, or the first may be through by the time that the row is known.
    again = asyncio.create_task(world.transfers.transfer(await world.row(), TO))
    other = await world.transfer(Transfer(to="+19"))
    assert other == CommandReceipt(done=False, failed_reason=IN_HAND)
    gate.set()
    assert (await again).done
    assert len(world.sip.transfers) == 1
    await world.transfers.aclose(1.0)


async def test_asked_again_once_it_is_done_it_stays_done(world: World) -> None:
    await world.begin()
    assert (await world.transfer()).done
    world.sip.statuses.clear()
    assert (await world.transfer()).done
    assert len(world.sip.transfers) == 1
    assert (await world.result())["was_transferred"] is True


async def test_caller_who_is_gone_is_not_handed_over(world: World) -> None:
    await world.begin()
    gone = LegEnded(at=world.plane.clock(), reason=Reason.CALLER_HUNG_UP)
    await world.plane.calls.note("default", world.call_id, gone)
    assert await world.transfer() == CommandReceipt(done=False, failed_reason=GONE)
    assert world.sip.transfers == []


async def test_closing_waits_for_what_is_under_way(world: World) -> None:
    await world.begin()
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    world.sip.on_transfer = wait
    transfer = asyncio.create_task(world.transfer())
    await world.sip.asked_for("transfer")
    closing = asyncio.create_task(world.transfers.aclose(5.0))
    gate.set()
    await closing
    assert (await transfer).done


async def test_ending_by_transfer_comes_before_the_line_is_closed(world: World) -> None:
    await world.begin()
    at = world.plane.clock()
    await world.transfer()
    ended = AgentEnded(at=at + timedelta(milliseconds=5), reason=Reason.CALLER_HUNG_UP)
    await world.plane.report(world.call_id, Source.AGENT, 4, ended)
    assert (await world.row()).end_reason is Reason.TRANSFERRED


@pytest.mark.parametrize(
    ("to", "uri"),
    [
        ("+1 (415) 555-0123", "tel:+14155550123"),
        ("tel:+14155550123", "tel:+14155550123"),
        ("sip:desk@pbx.example;transport=tcp", "sip:desk@pbx.example;transport=tcp"),
        ("sips:desk@pbx.example", "sips:desk@pbx.example"),
        ("desk@pbx.example", "sip:desk@pbx.example"),
        (" 100 ", "tel:100"),
        ("", ""),
        ("sip:", ""),
        ("desk", ""),
        ("sip:a@b>\r\nX-Evil: 1", ""),
        ('sip:"x"@b', ""),
    ],
)
def test_target_becomes_a_uri_or_nothing(to: str, uri: str) -> None:
    assert refer_uri(to) == uri
