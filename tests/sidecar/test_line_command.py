"""What agents ask of lines that LiveKit carries: the newest agent's word alone is done."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.command import AnyCommand, CallCommand, HangUp, SendDigits, Transfer
from contracts.ids import Channel
from contracts.outcome import Reason
from contracts.report import AgentEnded, Source, TransferStarted
from sidecar.denial import Code, Denied
from sidecar.line_command import HAS_BRIDGE, OWN_KEYS, LineCommands
from sidecar.rooms import RoomUnavailable
from sidecar.store.tables import DEFAULT_TENANT
from sidecar.transfer import Transfers
from tests.fakes.control_plane import ControlPlane
from tests.fakes.sip_service import FakeSip


def commands_of(plane: ControlPlane) -> tuple[LineCommands, FakeSip]:
    sip = FakeSip()
    transfers = Transfers(plane.database, plane.calls, sip, clock=plane.clock, bells=plane.bells)
    commands = LineCommands(plane.database, plane.calls, plane.rooms, transfers, clock=plane.clock)
    return commands, sip


def asked(command: AnyCommand, incarnation: int = 1) -> CallCommand:
    return CallCommand(incarnation=incarnation, command=command)


async def talking(plane: ControlPlane, **changes: Any) -> str:
    await plane.ready()
    given: dict[str, Any] = {"channel": Channel.DIALOUT, "media": "tracks", **changes}
    return await plane.talking(**given)


async def test_hanging_up_sends_the_phone_out_and_ends_the_call_as_the_bot_said(
    plane: ControlPlane,
) -> None:
    commands, _ = commands_of(plane)
    call_id = await talking(plane)
    row = await plane.row(call_id)
    said_at = plane.clock()
    plane.clock.advance(1)
    receipt = await commands.obey(DEFAULT_TENANT, call_id, asked(HangUp()))
    assert receipt.done
    assert plane.rooms.removed == [(row.room_name, row.caller_identity)]
    ended = AgentEnded(at=said_at, reason=Reason.DEAD_AIR)
    await plane.report(call_id, Source.AGENT, 3, ended)
    row = await plane.row(call_id)
    assert (row.is_ended, row.end_reason) == (True, Reason.DEAD_AIR)


async def test_phone_that_livekit_does_not_send_out_is_not_gone(plane: ControlPlane) -> None:
    commands, _ = commands_of(plane)
    call_id = await talking(plane)
    plane.rooms.failure = RoomUnavailable("down")
    receipt = await commands.obey(DEFAULT_TENANT, call_id, asked(HangUp()))
    assert (receipt.done, receipt.failed_reason) == (False, "LiveKit did not do it (down)")
    assert not (await plane.row(call_id)).leg_ended


async def test_transfer_is_asked_of_livekit(plane: ControlPlane) -> None:
    commands, sip = commands_of(plane)
    call_id = await talking(plane)
    row = await plane.row(call_id)
    started = TransferStarted(at=plane.clock(), destination="sip:desk@pbx.example")
    await plane.report(call_id, Source.AGENT, 3, started)
    await commands.obey(DEFAULT_TENANT, call_id, asked(Transfer(to="sip:desk@pbx.example")))
    assert sip.transfers == [(row.room_name, row.caller_identity, "sip:desk@pbx.example")]


async def test_keys_are_the_agent_s_to_press(plane: ControlPlane) -> None:
    commands, _ = commands_of(plane)
    call_id = await talking(plane)
    receipt = await commands.obey(DEFAULT_TENANT, call_id, asked(SendDigits(digits="1#")))
    assert (receipt.done, receipt.failed_reason) == (False, OWN_KEYS)


async def test_call_of_a_bridge_is_the_bridge_s(plane: ControlPlane) -> None:
    commands, _ = commands_of(plane)
    call_id = await talking(plane, media="data", channel=Channel.WEBSOCKET)
    receipt = await commands.obey(DEFAULT_TENANT, call_id, asked(HangUp()))
    assert (receipt.done, receipt.failed_reason) == (False, HAS_BRIDGE)
    assert plane.rooms.removed == []


async def test_agent_that_was_replaced_is_not_obeyed(plane: ControlPlane) -> None:
    commands, _ = commands_of(plane)
    call_id = await talking(plane)
    await plane.calls.raise_incarnation(await plane.row(call_id))
    with pytest.raises(Denied) as caught:
        await commands.obey(DEFAULT_TENANT, call_id, asked(HangUp(), incarnation=1))
    assert caught.value.code is Code.STALE_INCARNATION
    assert plane.rooms.removed == []
    assert (await commands.obey(DEFAULT_TENANT, call_id, asked(HangUp(), incarnation=2))).done


async def test_call_that_is_over_or_unknown_takes_no_commands(plane: ControlPlane) -> None:
    commands, _ = commands_of(plane)
    call_id = await talking(plane)
    await plane.end(call_id)
    for which, code in ((call_id, Code.CALL_ENDED), ("nobody's", Code.CALL_UNKNOWN)):
        with pytest.raises(Denied) as caught:
            await commands.obey(DEFAULT_TENANT, which, asked(HangUp()))
        assert caught.value.code is code
