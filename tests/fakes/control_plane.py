"""The sidecar's use cases wired for tests: fake rooms, a clock set by hand, ids that count."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from contracts.ids import Channel
from contracts.outcome import Reason
from contracts.plan import Claim, Plan, PlanRequest
from contracts.report import (
    AgentEnded,
    AgentJoined,
    ConversationStarted,
    Fact,
    Heartbeat,
    HeartbeatReceipt,
    LegAnswered,
    LegEnded,
    Report,
    ReportReceipt,
    Source,
)
from sidecar.aftercall import Aftercall
from sidecar.archive import Archive
from sidecar.calls import Calls
from sidecar.configure import OwnBots
from sidecar.crm import Crm
from sidecar.dialled import OwnNumbers
from sidecar.egress import EgressGuard
from sidecar.hearing import Hearing
from sidecar.keeper import Keeper
from sidecar.keyring import Keyring
from sidecar.loss import Losses
from sidecar.metrics import Metrics
from sidecar.planning import Planner
from sidecar.prefetch import Prefetch
from sidecar.preparation import Preparation
from sidecar.pulse import Pulse
from sidecar.recording import RecordingFolder
from sidecar.settings import Settings
from sidecar.standby import Standbys
from sidecar.store import bots, calls
from sidecar.store.calls import CallRow
from sidecar.store.database import Database
from sidecar.store.tables import DEFAULT_TENANT
from sidecar.vault import Vault
from sidecar.wake import Bells
from sidecar.watch import Watch
from tests.fakes.rooms import FakeRooms

START = datetime(2026, 6, 5, 10, 0, tzinfo=UTC)
BOT: dict[str, Any] = {
    "bot_id": "desk",
    "webhook_url": "https://crm.example/results",
    "opening_message": "Hello {{call.customer_name}}.",
    "stream_anonymous": True,
}


def settings_for_tests(**changes: Any) -> Settings:
    """Settings that read nothing from the environment that matters here."""
    given: dict[str, Any] = {
        "livekit_api_key": "devkey",
        "livekit_api_secret": "secret-of-at-least-32-characters!",
        "voxcore_secret": "s3cret",
        "admin_api_key": "admin",
        "database_url": "sqlite://",
        "call_starts_per_s": 0,
        **changes,
    }
    return Settings(**given)


def _without_crm() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(404)))


class FakeClock:
    """A clock that moves when told.

    Attributes:
        at: what it shows; may be set.
        monotonic_s: what a clock shows that cannot be.
    """

    def __init__(self, at: datetime = START) -> None:
        self.at = at
        self.monotonic_s = 0.0

    def __call__(self) -> datetime:
        return self.at

    def advance(self, seconds: float) -> datetime:
        self.at += timedelta(seconds=seconds)
        self.monotonic_s += seconds
        return self.at


class ControlPlane:
    """Everything a call needs on the sidecar's side."""

    def __init__(
        self,
        database: Database,
        recordings: Path,
        *,
        http: httpx.AsyncClient | None = None,
        **settings: Any,
    ) -> None:
        self.database = database
        self.settings = settings_for_tests(**settings)
        self.clock = FakeClock()
        self.rooms = FakeRooms()
        self.bells = Bells()
        self.folder = RecordingFolder(recordings, "https://voice.example")
        self.archive = Archive(database, self.folder, None, clock=self.clock, bells=self.bells)
        self._ids = 0
        self.metrics = Metrics(database)
        self.keyring = Keyring(database, Vault(self.settings.secrets_dir))
        self.standbys = Standbys(database, clock=self.clock, bells=self.bells, keyring=self.keyring)
        crm = Crm(http or _without_crm(), EgressGuard(allow_private=True))
        self.prefetch = Prefetch(
            database, crm, clock=self.clock, bells=self.bells, keyring=self.keyring
        )
        self.calls = Calls(
            database,
            self.folder,
            self.settings,
            clock=self.clock,
            bells=self.bells,
            prefetch=self.prefetch,
            metrics=self.metrics,
            keyring=self.keyring,
        )
        self.preparation = Preparation(
            database,
            self.rooms,
            self.folder,
            self.settings,
            clock=self.clock,
            bells=self.bells,
            standbys=self.standbys,
            prefetch=self.prefetch,
            metrics=self.metrics,
            use_cases=self.calls,
            keyring=self.keyring,
        )
        self.planner = Planner(
            database,
            OwnBots(database),
            OwnNumbers(database, self.settings.default_country),
            self.preparation,
            self.rooms,
            self.settings,
            clock=self.clock,
            new_id=self._new_id,
        )
        self.losses = Losses(
            database,
            self.rooms,
            self.settings,
            clock=self.clock,
            bells=self.bells,
            metrics=self.metrics,
        )
        self.aftercall = Aftercall(
            database, self.folder, clock=self.clock, bells=self.bells, keyring=self.keyring
        )
        self.hearing = Hearing()
        self.pulse = Pulse(
            database,
            self.rooms,
            self.losses,
            self.settings,
            self.hearing,
            clock=self.clock,
            bells=self.bells,
        )
        self.keeper = self.new_keeper()
        self.watch = self.new_watch()

    def new_keeper(self) -> Keeper:
        """Return a keeper of the same pool, as another start has."""
        return Keeper(
            self.database,
            self.rooms,
            self.settings,
            clock=self.clock,
            new_id=self._new_id,
            bells=self.bells,
            monotonic=lambda: self.clock.monotonic_s,
        )

    def new_watch(self) -> Watch:
        """Return a watch over the same calls, as another replica or another start has."""
        return Watch(
            self.database,
            self.calls,
            self.losses,
            self.aftercall,
            self.rooms,
            self.settings,
            self.hearing,
            clock=self.clock,
            changed=self.bells.timers,
            monotonic=lambda: self.clock.monotonic_s,
        )

    def _new_id(self) -> str:
        self._ids += 1
        return str(UUID(int=self._ids, version=4))

    async def add_bot(self, **changes: Any) -> None:
        config = {**BOT, **changes}
        async with self.database.transaction() as connection:
            await bots.save(connection, DEFAULT_TENANT, config["bot_id"], config, self.clock())

    async def beat(
        self, kind: str = "agent", *, max_calls: int = 8, **changes: Any
    ) -> HeartbeatReceipt:
        given: dict[str, Any] = {
            "kind": kind,
            "id": f"{kind}-1",
            "host": "host",
            "pid": 7,
            "ready": True,
            "max_calls": max_calls,
            "started_at": START,
            **changes,
        }
        return await self.pulse.heartbeat(DEFAULT_TENANT, Heartbeat(**given))

    async def ready(self, **bot: Any) -> None:
        """One bot, one ready agent worker."""
        await self.add_bot(**bot)
        await self.beat()

    async def plan(self, key: str = "k1", **changes: Any) -> Plan:
        given: dict[str, Any] = {
            "channel": Channel.WEBSOCKET,
            "bot_id": "desk",
            "caller_id": "+15550100",
            "idempotency_key": key,
            "connected_event": {"customer_name": "Sam"},
            **changes,
        }
        return await self.planner.plan(DEFAULT_TENANT, PlanRequest(**given))

    async def row(self, call_id: str) -> CallRow:
        async with self.database.read() as connection:
            row = await calls.get(connection, DEFAULT_TENANT, call_id)
        assert row is not None
        return row

    async def live(self) -> int:
        async with self.database.read() as connection:
            return await calls.count_live(connection, DEFAULT_TENANT)

    async def result(self, call_id: str) -> dict[str, Any] | None:
        async with self.database.read() as connection:
            return await calls.latest_result(connection, DEFAULT_TENANT, call_id)

    async def claim(self, call_id: str, incarnation: int = 1, worker_id: str = "w1") -> Any:
        claim = Claim(incarnation=incarnation, worker_id=worker_id)
        return await self.calls.claim(DEFAULT_TENANT, call_id, claim)

    async def report(
        self, call_id: str, source: Source, seq: int, *facts: Fact, incarnation: int = 1
    ) -> ReportReceipt:
        report = Report(source=source, incarnation=incarnation, seq=seq, facts=list(facts))
        return await self.calls.record(DEFAULT_TENANT, call_id, report)

    async def talking(self, key: str = "k1", *, config_url: str = "", **changes: Any) -> str:
        """Plan a call, on a config from there, and bring it to where both sides talk."""
        plan = await self.plan(key, **changes)
        if config_url:
            row = await self.row(plan.call_id)
            async with self.database.transaction() as connection:
                await calls.save(connection, row, replace(row, config_url=config_url))
        await self.claim(plan.call_id)
        return await self.talk(plan.call_id)

    async def talk(self, call_id: str) -> str:
        """Bring a call that is claimed to where both sides talk; return its id."""
        now = self.clock()
        await self.report(call_id, Source.BRIDGE, 1, LegAnswered(at=now))
        joined = AgentJoined(at=now, pipeline={"stt": "moonshine"})
        started = ConversationStarted(at=now)
        await self.report(call_id, Source.AGENT, 1, joined, started)
        return call_id

    async def end(
        self, call_id: str, *, leg: Reason = Reason.CALLER_HUNG_UP, agent: Reason | None = None
    ) -> None:
        """Let bridge and agent say that a `talking` call is over."""
        now = self.clock()
        await self.report(call_id, Source.BRIDGE, 2, LegEnded(at=now, reason=leg))
        await self.report(call_id, Source.AGENT, 3, AgentEnded(at=now, reason=agent or leg))
