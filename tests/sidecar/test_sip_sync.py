"""LiveKit SIP follows our trunks: once told, found again, mended, emptied, never beyond our own."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from livekit import api
from sqlalchemy import insert

from contracts.trunk import Trunk
from sidecar.livekit_sip import SipObjects, SipUnavailable
from sidecar.sip_objects import Limits
from sidecar.sip_sync import DRIFT, LEASE, LEASE_NAME, RETRY, SipSync
from sidecar.store import leases, trunks
from sidecar.store.database import Database
from sidecar.store.tables import DEFAULT_TENANT
from sidecar.store.telephony import numbers
from sidecar.store.trunks import TrunkRow
from sidecar.vault import Vault
from sidecar.wake import Wake
from tests.fakes.control_plane import START, FakeClock
from tests.fakes.sip_service import FakeSip


class Desk:
    """A sync over a database, a fake service and a clock set by hand."""

    def __init__(self, database: Database, secrets: Path) -> None:
        self.database = database
        self.secrets = secrets
        self.sip = FakeSip()
        self.clock = FakeClock()
        self.bell = Wake()
        self.sync = self.another("sidecar-1")

    def another(self, holder: str) -> SipSync:
        """Return a sync as another process, or another start, has."""
        return SipSync(
            self.database,
            self.sip,
            owner="vf",
            limits=Limits(ringing_s=20, call_s=14_400),
            vault=Vault(self.secrets),
            clock=self.clock,
            holder=holder,
            bell=self.bell,
        )

    async def add(self, trunk_id: str = "t1", **changes: Any) -> None:
        given: dict[str, Any] = {
            "trunk_id": trunk_id,
            "name": trunk_id,
            "address": "carrier.example",
            "numbers": [f"+9111{len(trunk_id)}"],
            **changes,
        }
        row = TrunkRow(trunk_id, DEFAULT_TENANT, Trunk(**given), START, START)
        async with self.database.transaction() as connection:
            await trunks.add(connection, row)

    async def change(self, trunk_id: str = "t1", **changes: Any) -> None:
        row = await self.row(trunk_id)
        changed = replace(row, trunk=Trunk(**{**row.trunk.model_dump(), **changes}))
        async with self.database.transaction() as connection:
            await trunks.save(connection, changed)

    async def remove(self, trunk_id: str = "t1") -> None:
        async with self.database.transaction() as connection:
            await trunks.remove(connection, DEFAULT_TENANT, trunk_id)

    async def row(self, trunk_id: str = "t1") -> TrunkRow:
        async with self.database.read() as connection:
            row = await trunks.get(connection, DEFAULT_TENANT, trunk_id)
        assert row is not None
        return row

    def asked(self) -> list[str]:
        """Return what was asked of LiveKit since the last time."""
        found = list(self.sip.requests)
        self.sip.requests.clear()
        return found


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    return Desk(database, tmp_path)


async def test_nothing_is_asked_of_livekit_without_a_managed_trunk(desk: Desk) -> None:
    await desk.add(kind="bridge")
    await desk.sync.look()
    desk.sync.look_anew()
    await desk.sync.look()
    assert desk.asked() == []


async def test_trunk_gets_its_two_halves_its_rule_and_the_catch_all(desk: Desk) -> None:
    (desk.secrets / "twilio").write_text("hush")
    await desk.add(password="secret://twilio")
    await desk.sync.look()
    row = await desk.row()
    assert list(desk.sip.outbound) == [row.outbound_id]
    assert desk.sip.outbound[row.outbound_id or ""].auth_password == "hush"
    assert list(desk.sip.inbound) == [row.inbound_id]
    rule = desk.sip.rules[row.rule_id or ""]
    assert list(rule.trunk_ids) == [row.inbound_id]
    (other,) = [each for each in desk.sip.rules.values() if each is not rule]
    assert other.name == "vf/catch-all"
    assert row.sync_error is None


async def test_what_has_been_told_is_not_told_again(desk: Desk) -> None:
    await desk.add()
    await desk.sync.look()
    desk.asked()
    await desk.sync.look()
    assert desk.asked() == []
    desk.clock.advance(DRIFT.total_seconds())
    await desk.sync.look()
    assert desk.asked() == ["objects"]


async def test_change_is_told_at_the_next_look_and_only_that(desk: Desk) -> None:
    await desk.add()
    await desk.sync.look()
    before = await desk.row()
    desk.asked()
    await desk.change(address="other.example")
    await desk.sync.look()
    assert desk.asked() == ["objects", "save_outbound"]
    (made,) = desk.sip.outbound.values()
    assert made.address == "other.example"
    after = await desk.row()
    assert after.outbound_id == before.outbound_id
    assert after.synced_sha256 != before.synced_sha256


async def test_number_that_is_answered_reaches_its_trunk(desk: Desk) -> None:
    await desk.add()
    await desk.sync.look()
    async with desk.database.transaction() as connection:
        row = {"number": "911140000001", "tenant_id": DEFAULT_TENANT, "trunk_id": "t1"}
        times = {"created_at": START, "updated_at": START}
        await connection.execute(insert(numbers).values(**row, **times))
    await desk.sync.look()
    (made,) = desk.sip.inbound.values()
    assert "+911140000001" in made.numbers


async def test_objects_made_without_an_answer_are_found_again(desk: Desk) -> None:
    await desk.add()
    desk.sip.lose_answers = True
    await desk.sync.look()
    assert (await desk.row()).outbound_id is None
    made = set(desk.sip.outbound)
    desk.sip.lose_answers = False
    desk.clock.advance(RETRY.total_seconds())
    await desk.sync.look()
    row = await desk.row()
    assert (row.sync_error, row.outbound_id in made) == (None, True)
    assert len(desk.sip.outbound) == len(desk.sip.inbound) == 1
    assert len(desk.sip.rules) == 2


async def test_hand_made_changes_are_mended_and_others_objects_left_alone(desk: Desk) -> None:
    await desk.add()
    await desk.sync.look()
    row = await desk.row()
    theirs = api.SIPInboundTrunkInfo(name="theirs", numbers=["+49"], sip_trunk_id="ST_X")
    their_rule = api.SIPDispatchRuleInfo(
        name="other/t1", trunk_ids=["ST_X"], sip_dispatch_rule_id="SDR_X"
    )
    desk.sip.inbound["ST_X"], desk.sip.rules["SDR_X"] = theirs, their_rule
    desk.sip.inbound[row.inbound_id or ""].auth_username = "intruder"
    del desk.sip.rules[row.rule_id or ""]
    desk.clock.advance(DRIFT.total_seconds())
    await desk.sync.look()
    after = await desk.row()
    assert desk.sip.inbound[after.inbound_id or ""].auth_username == ""
    assert list(desk.sip.rules[after.rule_id or ""].trunk_ids) == [after.inbound_id]
    assert desk.sip.inbound["ST_X"] == theirs
    assert desk.sip.rules["SDR_X"] == their_rule


async def test_doubles_are_taken_away_and_the_known_one_stays(desk: Desk) -> None:
    await desk.add()
    await desk.sync.look()
    row = await desk.row()
    desk.sip.outbound = {
        "ST_D": api.SIPOutboundTrunkInfo(name="vf/t1", sip_trunk_id="ST_D"),
        **desk.sip.outbound,
    }
    desk.clock.advance(DRIFT.total_seconds())
    await desk.sync.look()
    assert list(desk.sip.outbound) == [row.outbound_id]


async def test_last_trunk_takes_everything_of_ours_along(desk: Desk) -> None:
    await desk.add()
    await desk.sync.look()
    await desk.remove()
    desk.sync.look_anew()
    await desk.sync.look()
    assert (desk.sip.inbound, desk.sip.outbound, desk.sip.rules) == ({}, {}, {})
    desk.asked()
    desk.clock.advance(DRIFT.total_seconds())
    await desk.sync.look()
    assert desk.asked() == []


async def test_last_trunk_that_goes_while_livekit_is_away_goes_there_too_after_a_restart(
    desk: Desk,
) -> None:
    await desk.add()
    await desk.sync.look()
    await desk.remove()
    desk.sip.failure = SipUnavailable("unavailable")
    desk.sync.look_anew()
    await desk.sync.look()
    assert desk.sip.outbound
    desk.sip.failure = None
    await desk.another("sidecar-2").look()
    assert (desk.sip.inbound, desk.sip.outbound, desk.sip.rules) == ({}, {}, {})
    desk.asked()
    desk.clock.at += LEASE
    await desk.another("sidecar-3").look()
    assert desk.asked() == []


async def test_trunk_that_lets_nobody_in_loses_its_rule_first(desk: Desk) -> None:
    await desk.add()
    await desk.sync.look()
    desk.asked()
    await desk.change(numbers=[])
    await desk.sync.look()
    assert desk.asked() == ["objects", "delete_trunk", "delete_rule", "delete_trunk"]
    row = await desk.row()
    assert (row.inbound_id, row.outbound_id, row.rule_id) == (None, None, None)


async def test_number_moves_between_trunks_whichever_comes_first(desk: Desk) -> None:
    await desk.add("t1", numbers=["+1"])
    await desk.add("t2", numbers=["+2"])
    await desk.sync.look()
    await desk.change("t1", numbers=["+2"])
    await desk.change("t2", numbers=["+3"])
    await desk.sync.look()
    told = {item.name: list(item.numbers) for item in desk.sip.inbound.values()}
    assert told == {"vf/t1": ["+2"], "vf/t2": ["+3"]}
    assert [(await desk.row(name)).sync_error for name in ("t1", "t2")] == [None, None]
    assert len(desk.sip.outbound) == 2


async def test_livekit_without_sip_shows_on_the_trunk_and_is_asked_again_later(
    desk: Desk,
) -> None:
    await desk.add()
    desk.sip.failure = SipUnavailable("internal", "sip not connected (redis required)")
    await desk.sync.look()
    assert "needs Redis and livekit-sip" in str((await desk.row()).sync_error)
    desk.asked()
    await desk.sync.look()
    assert desk.asked() == []
    desk.sip.failure = None
    desk.clock.advance(RETRY.total_seconds())
    await desk.sync.look()
    row = await desk.row()
    assert row.sync_error is None
    assert row.outbound_id in desk.sip.outbound


async def test_trunk_that_livekit_refuses_says_why_and_keeps_no_other_from_working(
    desk: Desk,
) -> None:
    desk.sip.inbound["ST_X"] = api.SIPInboundTrunkInfo(
        name="theirs", numbers=["+1"], sip_trunk_id="ST_X"
    )
    await desk.add("t1", numbers=["+1"])
    await desk.add("t2", numbers=["+2"])
    await desk.sync.look()
    refused, served = await desk.row("t1"), await desk.row("t2")
    assert refused.sync_error == "LiveKit refused it: Conflicting inbound SIP Trunks"
    assert (served.sync_error, served.inbound_id in desk.sip.inbound) == (None, True)


async def test_trunk_whose_secret_is_missing_waits_for_it_alone(desk: Desk) -> None:
    await desk.add("t1", password="secret://late")
    await desk.add("t2", numbers=["+2"])
    await desk.sync.look()
    assert "secret://late" in str((await desk.row("t1")).sync_error)
    assert {item.name for item in desk.sip.outbound.values()} == {"vf/t2"}
    desk.asked()
    await desk.sync.look()
    assert desk.asked() == []
    (desk.secrets / "late").write_text("hush")
    await desk.sync.look()
    assert (await desk.row("t1")).sync_error is None
    assert {item.name for item in desk.sip.outbound.values()} == {"vf/t1", "vf/t2"}


async def test_somebody_else_s_catch_all_is_left_in_place(desk: Desk) -> None:
    desk.sip.rules["SDR_X"] = api.SIPDispatchRuleInfo(
        name="all of them", sip_dispatch_rule_id="SDR_X"
    )
    await desk.add()
    await desk.sync.look()
    assert (await desk.row()).sync_error is None
    assert {rule.name for rule in desk.sip.rules.values()} == {"all of them", "vf/t1"}


async def test_one_sidecar_at_a_time_tells_livekit(desk: Desk) -> None:
    await desk.add()
    until = desk.clock() + timedelta(seconds=30)
    async with desk.database.transaction() as connection:
        await leases.take(connection, LEASE_NAME, "sidecar-2", desk.clock(), until)
    await desk.sync.look()
    assert desk.asked() == []
    desk.clock.advance(30)
    await desk.sync.look()
    assert desk.sip.outbound
    desk.asked()
    await desk.another("sidecar-2").look()
    assert desk.asked() == ["objects"]


async def test_change_while_livekit_is_away_is_told_as_soon_as_it_is_back(desk: Desk) -> None:
    class BusySip(FakeSip):
        async def objects(self) -> SipObjects:
            desk.bell.ring()
            return await super().objects()

    desk.sip = BusySip()
    await desk.add()
    desk.sip.failure = SipUnavailable("unavailable")
    sync = desk.another("sidecar-1")
    await sync.turn()
    desk.sip.failure = None
    await sync.turn()
    assert (await desk.row()).sync_error is None
