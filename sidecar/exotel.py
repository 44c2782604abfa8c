"""What Exotel's flows ask beside a call's stream: where it goes, how it went, whom to connect to.

Every question names a bot, and shows what its stream would be let in with.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.bot import BotConfig
from contracts.event import EventType
from contracts.ids import Channel
from contracts.plan import PlanRequest
from contracts.report import TransferFailed
from sidecar import admission, capacity, progress, revision, ticket
from sidecar.clock import Clock
from sidecar.configure import ConfigQuery, ConfigSource, require_open
from sidecar.denial import Code, Denied
from sidecar.exotel_passthru import StreamReport, transfer_wanted
from sidecar.exotel_url import Place, choose, stream_url
from sidecar.number import dialable
from sidecar.recording import RecordingFolder
from sidecar.settings import Settings
from sidecar.store import calls as call_rows
from sidecar.store import cdrs, events, exotel, workers
from sidecar.store.calls import CallRow
from sidecar.store.database import Database
from sidecar.store.events import Draft
from sidecar.store.tables import DEFAULT_TENANT
from sidecar.wake import Bells, Wake

log = structlog.get_logger(__name__)

MAX_BOT_ID_CHARS = 128
"""What the bridge takes."""
REMEMBERED = timedelta(hours=6)
"""How far back a telephone call is looked for: Exotel's last four hours at most."""
TOLD_WITHIN_S = 2.0
"""How long the agent's own word of a transfer may take to arrive: the flow waits three to five."""
NOTED_WITHIN_S = 0.5
LOOK_S = 0.2
HUNG_UP = "the caller hung up before the transfer came about"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks: what would let a stream in.

    Attributes:
        bot_id: whose door it is.
        token: what was shown; "" for nothing.
        peer_ip: where it was shown from.
    """

    bot_id: str
    token: str = field(repr=False)
    peer_ip: str


@dataclass(frozen=True, slots=True)
class Ringing:
    """A call that is about to open its stream."""

    call_sid: str = ""
    caller_id: str = ""
    did: str = ""


class Exotel:
    """The control plane's half of Exotel's door."""

    def __init__(
        self,
        database: Database,
        configs: ConfigSource,
        folder: RecordingFolder,
        settings: Settings,
        *,
        clock: Clock,
        bells: Bells,
        chance: Callable[[], float],
        told_within_s: float = TOLD_WITHIN_S,
    ) -> None:
        self._database = database
        self._configs = configs
        self._folder = folder
        self._settings = settings
        self._clock = clock
        self._bells = bells
        self._chance = chance
        self._told_within_s = told_within_s
        self._noting: set[asyncio.Task[None]] = set()
        self._places = [Place.parse(text) for text in settings.stream_public_url]

    async def url(
        self, visitor: Visitor, call: Ringing, custom: Mapping[str, str], here: Callable[[], Place]
    ) -> str:
        """Return where the stream of a call goes.

        Args:
            visitor: who asks.
            call: the call, as far as it is told.
            custom: what is to be handed on.
            here: returns where the request itself went, for where no place is set.

        Raises:
            Denied: the bot is not to be had now, or the URL would be too long.
        """
        config = await self._admitted(visitor, call)
        require_open(config, self._clock())
        async with self._database.read() as connection:
            limit, now = self._settings.max_concurrent_calls, self._clock()
            found = await capacity.measure(connection, DEFAULT_TENANT, limit, now)
            found.admit("stream")
            heard = await workers.listed(connection, DEFAULT_TENANT, found.fresh_since)
        token = ""
        if config.stream_token:
            expires_at = self._clock() + ticket.LIFETIME
            token = ticket.issue(self._settings.voxcore_secret, visitor.bot_id, expires_at)
        place = choose(self._places or [here()], _free(heard), self._chance)
        rate_hz = config.exotel_sample_rate
        return stream_url(place, visitor.bot_id, custom, rate_hz=rate_hz, token=token)

    async def passthru(self, visitor: Visitor, report: StreamReport) -> bool:
        """Keep what became of a stream; return whether its caller is to be connected to somebody.

        Told again, it is the same.

        Raises:
            Denied: the bot is not there, or not for this visitor.
        """
        await self._admitted(visitor, Ringing(report.call_sid))
        if report.is_beforehand or not (report.call_sid or report.stream_sid):
            return False
        async with self._database.read() as connection:
            row = await self._row(connection, visitor.bot_id, report.call_sid, report.stream_sid)
        if report.error:
            log.warning(
                "exotel_stream_failed",
                bot_id=visitor.bot_id,
                call_id=row and row.call_id,
                # Somebody else's words: who knows whom they name.
                error_pii=report.error,
                detail_pii=report.fields.get("DetailedStatus"),
            )
        # A database that takes nothing must not keep a caller from a human.
        noting = asyncio.create_task(self._note(visitor.bot_id, report, row))
        self._noting.add(noting)
        noting.add_done_callback(self._noted)
        is_wanted = row is not None and not report.ended_by_caller and await self._is_wanted(row)
        await asyncio.wait({noting}, timeout=NOTED_WITHIN_S)
        return is_wanted

    async def aclose(self, timeout_s: float) -> None:
        """Let what was told be kept, as far as there is time."""
        if self._noting:
            await asyncio.wait(self._noting, timeout=timeout_s)

    async def number(self, visitor: Visitor, call_sid: str) -> str:
        """Return the number to which the bot has handed its caller.

        Raises:
            Denied: there is none, or the bot is not for this visitor.
        """
        await self._admitted(visitor, Ringing(call_sid))
        async with self._database.read() as connection:
            row = await self._row(connection, visitor.bot_id, call_sid, "")
            facts = await events.facts(connection, DEFAULT_TENANT, row.call_id) if row else []
        wanted = transfer_wanted(facts)
        number = dialable(wanted.destination) if wanted else ""
        if not number:
            raise Denied(Code.NUMBER_UNKNOWN, "the call is to be connected to nobody")
        return number

    async def _admitted(self, visitor: Visitor, call: Ringing) -> BotConfig:
        bot_id = visitor.bot_id
        if len(bot_id) > MAX_BOT_ID_CHARS or not bot_id.strip(".") or not bot_id.isprintable():
            raise Denied(Code.BOT_UNKNOWN, "no bot has such an id")
        event = {"call_sid": call.call_sid} if call.call_sid else {}
        query = ConfigQuery(
            DEFAULT_TENANT, visitor.bot_id, call.caller_id, connected_event=event, did=call.did
        )
        config = await self._configs.fetch(query)
        shown = PlanRequest(
            channel=Channel.EXOTEL,
            bot_id=visitor.bot_id,
            idempotency_key="",
            presented_token=visitor.token,
            peer_ip=visitor.peer_ip,
        )
        admission.admit(
            config,
            shown,
            anonymous=self._settings.stream_anonymous,
            secret=self._settings.voxcore_secret,
            now=self._clock(),
        )
        return config

    async def _row(
        self, connection: AsyncConnection, bot_id: str, call_sid: str, stream_sid: str
    ) -> CallRow | None:
        since = self._clock() - REMEMBERED
        return await exotel.call_of(
            connection,
            DEFAULT_TENANT,
            bot_id,
            call_sid=call_sid,
            stream_sid=stream_sid,
            since=since,
        )

    async def _note(self, bot_id: str, report: StreamReport, row: CallRow | None) -> None:
        # A stream that never began has no name of its own.
        stream_id = report.stream_sid or (row and row.stream_id) or f"call {report.call_sid}"
        call_id = row.call_id if row else None
        body = {"bot_id": bot_id, **report.record()}

        async def keep(connection: AsyncConnection) -> None:
            at = self._clock()
            if not await exotel.may_tell(connection, DEFAULT_TENANT, bot_id, stream_id):
                log.warning("exotel_report_of_another", bot_id=bot_id)
                return
            await cdrs.save(connection, DEFAULT_TENANT, stream_id, body, at, call_id=call_id)

        await self._database.run(keep)
        if row is not None and report.ended_by_caller:
            await self._take_back(row)

    def _noted(self, noting: asyncio.Task[None]) -> None:
        self._noting.discard(noting)
        if not noting.cancelled() and (failure := noting.exception()) is not None:
            log.error("exotel_report_not_kept", exc_info=failure)

    async def _is_wanted(self, row: CallRow) -> bool:
        """Return whether the caller is handed over: the agent's word may still be on its way."""
        try:
            async with asyncio.timeout(self._told_within_s):
                while True:
                    armed = self._bells.events.armed()
                    async with self._database.read() as connection:
                        now = await call_rows.get(connection, row.tenant_id, row.call_id)
                        facts = await events.facts(connection, row.tenant_id, row.call_id)
                    if transfer_wanted(facts):
                        return True
                    if now is None or now.is_ended or now.agent_ended:
                        return False
                    await Wake.wait(armed, LOOK_S)
        except TimeoutError:
            log.warning("exotel_agent_silent", call_id=row.call_id)
            return False

    async def _take_back(self, row: CallRow) -> None:
        """Let a transfer count for nothing whose caller was gone, also where the result is out."""

        async def work(connection: AsyncConnection) -> bool:
            # The row first: whoever tells more of the call meanwhile changes it.
            before = await call_rows.get(connection, row.tenant_id, row.call_id)
            facts = await events.facts(connection, row.tenant_id, row.call_id)
            wanted = transfer_wanted(facts)
            if before is None or wanted is None:
                return False
            told = await call_rows.latest_result(connection, row.tenant_id, row.call_id)
            failed = TransferFailed(at=max(self._clock(), wanted.at), failed_reason=HUNG_UP)
            saved = await call_rows.save(connection, before, progress.apply(before, failed))
            await events.append(connection, row.tenant_id, _drafts(before, saved, failed))
            if told is not None and told.get("was_transferred"):
                config = saved.config or {}
                await revision.add(connection, saved, config, self._folder, self._clock())
            await self._database.notify(connection)
            return True

        if await self._database.run(work):
            self._bells.ring_all()


def _drafts(before: CallRow, after: CallRow, failed: TransferFailed) -> list[Draft]:
    """Return what the ledger is told: in no sequence, where it would pass for the bridge's."""
    told = Draft(
        call_id=after.call_id,
        bot_id=after.bot_id,
        type=EventType.TRANSFER,
        at=failed.at,
        data=failed.model_dump(mode="json"),
        source=Channel.EXOTEL,
    )
    if after.state is before.state:
        return [told]
    change = {"state": after.state, "previous": before.state}
    return [told, replace(told, type=EventType.CALL_STATE, data=change, source=None)]


def _free(heard: Sequence[workers.WorkerRow]) -> dict[str, int]:
    """Return how many more streams each host's bridges take."""
    free: Counter[str] = Counter()
    for worker in heard:
        if worker.kind == "bridge" and worker.door == "stream" and worker.ready:
            free[worker.host] += max(0, worker.max_calls - len(worker.calls))
    return dict(free)
