"""Trunks and rules at the LiveKit server itself, which keeps them in Redis: told once, mended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from livekit import api

from contracts.trunk import Trunk
from sidecar.livekit_sip import SipDial, SipRefused, SipService, SipUnavailable
from sidecar.sip_objects import Limits
from sidecar.sip_sync import DRIFT, SipSync
from sidecar.store import trunks
from sidecar.store.database import Database
from sidecar.store.tables import DEFAULT_TENANT
from sidecar.store.trunks import TrunkRow
from sidecar.vault import Vault
from sidecar.wake import Wake
from tests.fakes.control_plane import START, FakeClock
from tests.fakes.redis import running_redis
from tests.integration.livekit_server import LiveKitServer, running_livekit

TRUNK = Trunk(
    trunk_id="t1",
    name="Carrier",
    address="carrier.example:5060",
    transport="tls",
    domain="us.example",
    numbers=["+911140000000"],
    username="u",
    password="p",
    inbound_addresses=["10.0.0.0/8"],
    headers={"X-Account": "7"},
    srtp="allowed",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKitServer]:
    """A LiveKit server with Redis, and no SIP service behind it."""
    folder = tmp_path_factory.mktemp("with-redis")
    with (
        running_redis(folder) as address,
        running_livekit(folder, redis={"address": address}) as server,
    ):
        yield server


@pytest.fixture
async def sip(server: LiveKitServer) -> AsyncIterator[SipService]:
    service = SipService(server.url, server.key, server.secret)
    yield service
    await service.aclose()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/voicefleet.db")
    await database.migrate()
    async with database.transaction() as connection:
        await trunks.add(connection, TrunkRow("t1", DEFAULT_TENANT, TRUNK, START, START))
    yield database
    await database.aclose()


class CountingSip(SipService):
    """Counts what it is told to change."""

    saves = 0

    async def save_inbound(self, wanted: api.SIPInboundTrunkInfo, trunk_id: str) -> str:
        self.saves += 1
        return await super().save_inbound(wanted, trunk_id)

    async def save_outbound(self, wanted: api.SIPOutboundTrunkInfo, trunk_id: str) -> str:
        self.saves += 1
        return await super().save_outbound(wanted, trunk_id)

    async def save_rule(self, wanted: api.SIPDispatchRuleInfo, rule_id: str) -> str:
        self.saves += 1
        return await super().save_rule(wanted, rule_id)


async def test_server_keeps_what_it_is_told_and_is_told_nothing_twice(
    server: LiveKitServer, database: Database
) -> None:
    clock = FakeClock()
    sip = CountingSip(server.url, server.key, server.secret)
    sync = SipSync(
        database,
        sip,
        owner="vf",
        limits=Limits(20, 14_400),
        vault=Vault(None),
        clock=clock,
        holder="sidecar",
        bell=Wake(),
    )
    await sync.look()
    assert sip.saves == 4
    found = await sip.objects()
    assert (len(found.inbound), len(found.outbound), len(found.rules)) == (1, 1, 2)

    # What the server notes and writes out beside is no difference.
    clock.advance(DRIFT.total_seconds())
    await sync.look()
    assert sip.saves == 4

    (inbound,) = found.inbound
    inbound.auth_username, inbound.auth_password = "intruder", "p"
    await SipService.save_inbound(sip, inbound, inbound.sip_trunk_id)
    clock.advance(timedelta(minutes=5).total_seconds())
    await sync.look()
    assert sip.saves == 5
    (mended,) = (await sip.objects()).inbound
    assert mended.auth_username == ""

    async with database.transaction() as connection:
        await trunks.remove(connection, DEFAULT_TENANT, "t1")
    sync.look_anew()
    await sync.look()
    found = await sip.objects()
    assert (found.inbound, found.outbound, found.rules) == ([], [], [])
    await sip.aclose()


async def test_what_the_server_refuses_is_what_the_double_refuses(sip: SipService) -> None:
    wrong = [
        (sip.save_inbound(api.SIPInboundTrunkInfo(name="open"), ""), "invalid_argument"),
        (
            sip.save_outbound(api.SIPOutboundTrunkInfo(name="x", address="a"), ""),
            "invalid_argument",
        ),
        (sip.save_rule(api.SIPDispatchRuleInfo(name="x"), ""), "invalid_argument"),
        (
            sip.save_inbound(api.SIPInboundTrunkInfo(name="x", numbers=["+1"]), "ST_unknown"),
            "not_found",
        ),
        (sip.transfer("nowhere", "nobody", "tel:+1", 1.0), "not_found"),
        (sip.transfer("nowhere", "nobody", "+1", 1.0), "invalid_argument"),
    ]
    for attempt, code in wrong:
        with pytest.raises(SipRefused) as caught:
            await attempt
        assert caught.value.code == code
    await sip.delete_trunk("ST_unknown")
    await sip.delete_rule("SDR_unknown")
    assert await sip.call_status("nowhere", "nobody") is None


def dial(trunk_id: str) -> SipDial:
    return SipDial(
        trunk_id=trunk_id,
        to_number="+15550100",
        from_number="+911140000000",
        room_name="dialout-1",
        identity="caller-1",
        ringing_timeout_s=5.0,
        max_duration_s=60.0,
    )


async def test_dial_without_a_sip_service_is_unavailable_and_without_a_trunk_refused(
    sip: SipService,
) -> None:
    wanted = api.SIPOutboundTrunkInfo(name="x", address="carrier.example", numbers=["+1"])
    trunk_id = await sip.save_outbound(wanted, "")
    with pytest.raises(SipUnavailable) as unavailable:
        await sip.dial(dial(trunk_id))
    assert unavailable.value.code == "unavailable"
    with pytest.raises(SipRefused) as refused:
        await sip.dial(dial("ST_unknown"))
    assert refused.value.code == "not_found"
    await sip.delete_trunk(trunk_id)


async def test_server_without_redis_has_no_sip(livekit_server: LiveKitServer) -> None:
    sip = SipService(livekit_server.url, livekit_server.key, livekit_server.secret)
    with pytest.raises(SipUnavailable) as caught:
        await sip.objects()
    assert caught.value.code == "internal"
    await sip.aclose()
