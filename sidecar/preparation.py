"""What a call needs between its slot and its conversation: config, a place in the queue, an agent.

Whatever of it is refused undoes the call.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts import ids
from contracts.bot import BotConfig
from contracts.call import CallState
from contracts.event import EventType
from contracts.outcome import Reason
from contracts.plan import PlanRequest
from contracts.report import LegAnswered
from sidecar import admission, ending, progress, standby
from sidecar.calls import Calls
from sidecar.clock import Clock
from sidecar.configure import (
    ConfigQuery,
    ConfigSource,
    Configured,
    prepare,
    require_open,
    session_id_of,
)
from sidecar.denial import Code, Denied
from sidecar.keyring import Keyring
from sidecar.metrics import Metrics
from sidecar.pace import Pace, TooFast
from sidecar.prefetch import Prefetch, due_at
from sidecar.recording import RecordingFolder
from sidecar.rooms import RoomError, Rooms
from sidecar.secrecy import SCHEME
from sidecar.settings import Settings
from sidecar.standby import Standbys
from sidecar.store import calls, events
from sidecar.store.calls import CallRow
from sidecar.store.database import Conflict, Database
from sidecar.store.events import Draft
from sidecar.vault import SecretMissing
from sidecar.wake import Bells

log = structlog.get_logger(__name__)

MAX_NAME_CHARS = 200
EMPTY_SLACK_S = 5
_START_BURST = 2
_MAX_START_WAIT_S = 4.0
"""Well within what a bridge waits for a plan, and a caller for a voice."""
_STREAM_MARGIN_S = 20
"""For the closing message."""

Also = Callable[[AsyncConnection, CallRow], Awaitable[None]]
"""What a door does in the transaction that confirms its call; it may still deny the call."""

_KEPT = {
    Code.OUTSIDE_HOURS: Reason.OUTSIDE_HOURS,
    Code.CONFIG_UNAVAILABLE: Reason.CONFIG_UNAVAILABLE,
    Code.CONFIG_INVALID: Reason.CONFIG_INVALID,
    Code.ROOM_UNAVAILABLE: Reason.ROOM_LOST,
}
"""Refusals an operator wants to read about. The rest (wrong tokens, unknown bots) leave no call."""
KEPT_OF_ATTACHED = {**_KEPT, Code.BOT_UNKNOWN: Reason.BOT_UNKNOWN}
"""Who has a callee on the line, or a visitor in a room, is told by the result what became of it."""


class Preparation:
    """Prepares calls whose slots are taken."""

    def __init__(
        self,
        database: Database,
        rooms: Rooms,
        folder: RecordingFolder,
        settings: Settings,
        *,
        clock: Clock,
        bells: Bells,
        standbys: Standbys,
        prefetch: Prefetch,
        metrics: Metrics,
        use_cases: Calls,
        keyring: Keyring,
    ) -> None:
        self._database = database
        self._rooms = rooms
        self._folder = folder
        self._settings = settings
        self._clock = clock
        self._bells = bells
        self._standbys = standbys
        self._prefetch = prefetch
        self._metrics = metrics
        self._calls = use_cases
        self._keyring = keyring
        self._pace = Pace(
            settings.call_starts_per_s, burst=_START_BURST, max_wait_s=_MAX_START_WAIT_S
        )

    async def fill(
        self,
        row: CallRow,
        request: PlanRequest,
        configs: ConfigSource,
        also: Also | None,
        turn_at: float | None = None,
    ) -> CallRow:
        """Prepare a call whose slot is taken: return its row with the config, its agent called.

        Args:
            row: the slot.
            request: what was asked for.
            configs: where the config comes from.
            also: what else is part of the call's confirmation.
            turn_at: what `turn` gave, where it was asked for already.

        Raises:
            Denied: the call is refused, and undone.
        """
        try:
            configured = await self._configured(row, request, configs)
            await _until(self.turn() if turn_at is None else turn_at)
            row = await self._confirmed(row, configured, request, also)
            self._prefetch.start(row, configured.config)
            if row.standby_id:
                self._standbys.give(row, is_seated=row.standby_id in request.seats)
            self._bells.events.ring()
            self._bells.timers.ring()
            if request.answered and request.media == "tracks":
                # No bridge tells it; told before the agent is called, so that it speaks at once.
                await self._calls.note(row.tenant_id, row.call_id, LegAnswered(at=self._clock()))
            if not (row.standby_id or request.has_agent):
                await self._call_agent(row, request)
        except Denied as denied:
            await self.give_up(row, denied, configs)
            if denied.code in kept(row):
                denied.details["call_id"] = row.call_id
            raise
        except BaseException:
            # Cancelled or broken half-way: the slot must not outlive the attempt.
            await self.give_up(row, Denied(Code.PLANNING, "planning failed"), configs)
            raise
        log.info(
            "call_planned",
            call_id=row.call_id,
            bot_id=row.bot_id,
            channel=row.channel,
            standby=bool(row.standby_id),
        )
        return row

    def turn(self) -> float:
        """Return when a call may start, by the loop's clock.

        Raises:
            Denied: too many calls wait to start already.
        """
        now = asyncio.get_running_loop().time()
        try:
            return now + self._pace.reserve(now)
        except TooFast as error:
            retry_after_s = math.ceil(error.wait_s)
            raise Denied(Code.AT_CAPACITY, str(error), retry_after_s=retry_after_s) from error

    async def give_up(self, row: CallRow, denied: Denied, configs: ConfigSource) -> None:
        """Undo a call that was refused: keep it as ended, where its kind of refusal is kept."""
        reason = kept(row).get(denied.code)
        now = self._clock()

        async def undo(connection: AsyncConnection) -> bool:
            current = await calls.get(connection, row.tenant_id, row.call_id)
            if current is None or current.is_ended:
                return False
            if reason is None and current.state is CallState.PLANNED:
                await calls.discard(connection, current)
                return False
            ended = await _addressed(connection, current, configs)
            ended = progress.ending(ended, reason or Reason.NO_AGENT, now, denied.message)
            # Nobody has spoken, so nobody is asked about it: there is no deadline to keep.
            await ending.close(connection, current, ended, self._folder, now, deadline_s=0.0)
            await self._database.notify(connection)
            return True

        if await self._database.run(undo):
            self._metrics.call_ended(row, reason or Reason.NO_AGENT)
        self._bells.ring_all()
        log.info("call_refused", call_id=row.call_id, bot_id=row.bot_id, code=denied.code)

    async def _configured(
        self, row: CallRow, request: PlanRequest, configs: ConfigSource
    ) -> Configured:
        query = ConfigQuery(
            row.tenant_id,
            row.bot_id,
            row.caller_id,
            row.stream_id,
            request.connected_event,
            row.did,
            row.call_direction,
        )
        config = await configs.fetch(query)
        now = self._clock()
        admission.admit(
            self._admitting(row.tenant_id, config, configs.url),
            request,
            anonymous=self._settings.stream_anonymous,
            secret=self._settings.voxcore_secret,
            now=now,
        )
        config = _ended_in_time(config, request.channel)
        configured = prepare(config, query, now, is_per_call=configs.is_per_call)
        configured = replace(configured, config_url=configs.url)
        try:
            require_open(config, now)
        except Denied:
            # The bot is known, so its owner learns of the call.
            await self._database.run(lambda c: self._confirm(c, row, configured, None))
            raise
        return configured

    def _admitting(self, tenant_id: str, config: BotConfig, config_url: str) -> BotConfig:
        """Return the config with the token that admits streams, where it is only named."""
        if not config.stream_token.startswith(SCHEME):
            return config
        admitting = BotConfig(stream_token=config.stream_token)
        try:
            token = self._keyring.revealed(tenant_id, admitting, config_url).stream_token
        except SecretMissing as missing:
            raise Denied(Code.CONFIG_INVALID, str(missing)) from missing
        return config.model_copy(update={"stream_token": token})

    async def _confirmed(
        self, row: CallRow, configured: Configured, request: PlanRequest, also: Also | None
    ) -> CallRow:
        try:
            return await self._database.run(
                lambda c: self._confirm(c, row, configured, request, also)
            )
        except Conflict as conflict:
            # Nothing but its end changes a call that is being planned: a phone has been hung up.
            raise Denied(Code.CALL_ENDED, "the call ended while it was planned") from conflict

    async def _confirm(
        self,
        connection: AsyncConnection,
        row: CallRow,
        configured: Configured,
        request: PlanRequest | None,
        also: Also | None = None,
    ) -> CallRow:
        """Give the call its config and, where somebody listens already, an agent that waits."""
        config = configured.config
        session_id = await _session_id(connection, row, config)
        now = self._clock()
        crm_due_at = None
        if request is not None:
            crm_due_at = due_at(config, row.connected_event, now, answered=request.is_awaited)
        waiting = None
        if request is not None and not request.room_name:
            waiting = await standby.take(connection, row, request, now)
        timeout = timedelta(seconds=self._settings.claim_timeout_s)
        confirmed = replace(
            row,
            room_name=waiting.room_name if waiting else row.room_name,
            session_id=session_id,
            config=config.model_copy(update={"session_id": session_id}).model_dump(mode="json"),
            variables=configured.variables,
            max_call_duration_s=config.max_call_duration_seconds,
            opening_is_fixed=configured.opening_is_fixed,
            config_url=configured.config_url,
            claim_due_at=now + (standby.CLAIM_TIMEOUT if waiting else timeout),
            prefetch_due_at=crm_due_at,
        )
        confirmed = await calls.save(connection, row, confirmed)
        if also is not None:
            await also(connection, confirmed)
        planned = Draft(
            call_id=row.call_id,
            bot_id=row.bot_id,
            type=EventType.CALL_PLANNED,
            at=now,
            data={
                "session_id": session_id,
                "bot_id": row.bot_id,
                "channel": row.channel,
                "call_direction": row.call_direction,
                "caller_id": row.caller_id,
            },
        )
        await events.append(connection, row.tenant_id, [planned])
        await self._database.notify(connection)
        if waiting:
            await self._database.notify_standbys(connection)
        return confirmed

    async def _call_agent(self, row: CallRow, request: PlanRequest) -> None:
        # A room that somebody else has made is not ours to make anew.
        try:
            if request.room_name:
                await self._rooms.dispatch(row.room_name, row.call_id, row.incarnation)
            else:
                await self._rooms.create(
                    row.room_name,
                    row.call_id,
                    row.incarnation,
                    # Its caller may take as long as the slot is kept, and is then missed by us.
                    empty_timeout_s=math.ceil(self._settings.plan_expiry_s) + EMPTY_SLACK_S,
                )
        except RoomError as error:
            raise Denied(
                Code.ROOM_UNAVAILABLE,
                "LiveKit did not make a room",
                details={"error": str(error)},
                retry_after_s=1,
            ) from error


def kept(row: CallRow) -> dict[Code, Reason]:
    """Return which refusals of a call are kept, and how it then ended."""
    is_told_by_result = row.channel == ids.Channel.ATTACH or row.is_visit
    reasons = KEPT_OF_ATTACHED if is_told_by_result else _KEPT
    if row.channel == ids.Channel.WEB:
        return {**reasons, Code.OUTSIDE_HOURS: Reason.CLOSED_TO_VISITORS}
    return reasons


def _ended_in_time(config: BotConfig, channel: ids.Channel) -> BotConfig:
    """Let the bot say goodbye before Exotel ends its stream."""
    longest_s = config.exotel_stream_limit_s - _STREAM_MARGIN_S
    if channel != ids.Channel.EXOTEL or config.max_call_duration_seconds <= longest_s:
        return config
    return config.model_copy(update={"max_call_duration_seconds": longest_s})


async def _until(at: float) -> None:
    wait_s = at - asyncio.get_running_loop().time()
    if wait_s > 0:
        await asyncio.sleep(wait_s)


async def _addressed(connection: AsyncConnection, row: CallRow, configs: ConfigSource) -> CallRow:
    """Let the result of a call whose config never came reach whoever has the configs."""
    if row.config is not None or not configs.results_url:
        return row
    config = BotConfig(webhook_url=configs.results_url)
    session_id = await _session_id(connection, row, config)
    return replace(row, session_id=session_id, config=config.model_dump(mode="json"))


async def _session_id(connection: AsyncConnection, row: CallRow, config: BotConfig) -> str:
    """Return the name that somebody outside gave the call, if it can be had, else its own."""
    session_id = session_id_of(config, row.connected_event) or row.call_id
    too_long = len(session_id) > MAX_NAME_CHARS
    if too_long or await calls.is_taken(connection, row.tenant_id, session_id):
        return row.call_id
    return session_id
