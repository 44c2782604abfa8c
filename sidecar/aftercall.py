"""Work after a call: agent workers are given questions about it, and its result their answers.

Who makes a result, and which revision, is decided under the call's row: every answer and every
deadline changes that row first, so two of them follow one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.bot import BotConfig
from contracts.engines import LlmConfig
from contracts.plan import HistoryLine
from contracts.report import TranscriptLine
from contracts.task import Task, TaskAnswer, TaskClaim, TaskKind
from sidecar import analysis, revision
from sidecar.clock import Clock
from sidecar.denial import Code, Denied
from sidecar.keyring import Keyring
from sidecar.recording import RecordingFolder
from sidecar.secrecy import masked, restored
from sidecar.store import bots, calls, events, tasks
from sidecar.store.calls import CallRow
from sidecar.store.database import Database
from sidecar.store.tasks import TaskRow, TaskState
from sidecar.wake import Bells

log = structlog.get_logger(__name__)

LEASE_S = 30.0
"""How long a worker may take. Half the usual deadline: a dead one's task still makes it."""
MAX_ATTEMPTS = 3
RETRY_S = 5.0
"""How long a task rests after a failed attempt, times the attempt."""
LAST_CALL = timedelta(hours=1)
"""How long after its deadline an answer may still amend a result. Then its secrets go."""


class _Unanswerable(Exception):
    """A question that no worker could ask: the message tells why."""


class Aftercall:
    """What happens between the end of a call and its final result."""

    def __init__(
        self,
        database: Database,
        folder: RecordingFolder,
        *,
        clock: Clock,
        bells: Bells,
        keyring: Keyring,
    ) -> None:
        self._database = database
        self._folder = folder
        self._clock = clock
        self._bells = bells
        self._keyring = keyring

    async def claim(self, tenant_id: str, claim: TaskClaim) -> Task | None:
        """Return a question for a worker to ask its language model; None if there is none."""
        while True:
            found = await self._database.run(lambda c: self._claim(c, tenant_id, claim.worker_id))
            if not isinstance(found, _Unanswerable):
                return found
            log.warning("task_given_up", error=str(found))
            self._bells.ring_all()

    async def answer(self, tenant_id: str, task_id: str, answer: TaskAnswer) -> None:
        """Take the answer to a question, or why there is none.

        Raises:
            Denied: there is no such task, or somebody else has it by now.
        """

        async def work(connection: AsyncConnection) -> TaskRow:
            row = await tasks.get(connection, tenant_id, task_id)
            if row is None:
                raise Denied(Code.NOT_FOUND, "there is no such task")
            row = replace(row, attempt=answer.attempt)
            if answer.result is not None or answer.attempt >= MAX_ATTEMPTS:
                return await self._settle(connection, row, answer.result, answer.error)
            due_at = self._clock() + timedelta(seconds=RETRY_S * answer.attempt)
            again = replace(row, due_at=due_at, error=answer.error)
            await self._record(connection, again)
            return again

        row = await self._database.run(work)
        self._bells.ring_all()
        log.info(
            "task_answered",
            task_id=task_id,
            attempt=answer.attempt,
            state=row.state,
            error=answer.error,
        )

    async def conclude(self, seen: CallRow) -> bool:
        """Make the result of a call whose `result_due_at` has passed, with what there is.

        Where it has been made then and answers are still missing, they are waited for no longer.

        Returns:
            Whether there was something to do; another replica may have done it.
        """

        async def work(connection: AsyncConnection) -> bool:
            now = self._clock()
            row = await calls.get(connection, seen.tenant_id, seen.call_id)
            if row is None or row.result_due_at is None or now < row.result_due_at:
                return False
            has_result = await calls.has_result(connection, row)
            if has_result:
                why = "no worker has answered in time"
                await tasks.give_up(connection, row.tenant_id, row.call_id, now, why)
            opened = await tasks.of_call(connection, row.tenant_id, row.call_id)
            still = replace(row, result_due_at=now + LAST_CALL)
            saved = await calls.save(
                connection, row, still if _is_open(opened) else revision.at_rest(row)
            )
            if not has_result:
                await self._revise(connection, saved, row, now)
            return True

        has_acted = await self._database.run(work)
        if has_acted:
            self._bells.ring_all()
            log.info("aftercall_deadline_passed", call_id=seen.call_id)
        return has_acted

    async def _claim(
        self, connection: AsyncConnection, tenant_id: str, worker_id: str
    ) -> Task | _Unanswerable | None:
        now = self._clock()
        leased_until = now + timedelta(seconds=LEASE_S)
        row = await tasks.claim(connection, tenant_id, worker_id, now, leased_until)
        if row is None:
            return None
        try:
            return await self._task(connection, row)
        except _Unanswerable as why:
            await self._settle(connection, row, None, str(why))
            return why

    async def _task(self, connection: AsyncConnection, row: TaskRow) -> Task:
        if row.attempt > MAX_ATTEMPTS:
            raise _Unanswerable("the workers that took it vanished")
        call = await calls.get(connection, row.tenant_id, row.call_id)
        if call is None:
            raise _Unanswerable("the call has been erased")
        config = BotConfig.model_validate(call.config or {})
        kind = TaskKind(row.kind)
        facts = await events.facts(connection, row.tenant_id, row.call_id)
        return Task(
            task_id=row.task_id,
            call_id=row.call_id,
            kind=kind,
            attempt=row.attempt,
            lease_s=LEASE_S,
            llm=await self._brain(connection, call, config.llm),
            prompt=analysis.question(config, kind, call.variables),
            kept=analysis.kept(config, kind),
            transcript=[
                HistoryLine(speaker=fact.speaker, text=fact.text)
                for fact in facts
                if isinstance(fact, TranscriptLine)
            ],
        )

    async def _brain(self, connection: AsyncConnection, call: CallRow, llm: LlmConfig) -> LlmConfig:
        """Return the bot's language model with its keys in place."""
        named = await self._named(connection, call, llm)
        kept = {"llm": named.model_dump(mode="json")}
        await self._keyring.load(call.tenant_id, kept, connection)
        return self._keyring.for_use(call.tenant_id, kept, call.config_url).llm

    async def _named(self, connection: AsyncConnection, call: CallRow, llm: LlmConfig) -> LlmConfig:
        """Return the bot's language model as the call had it, with the key that is good now."""
        if call.config_url:
            return llm
        bot = await bots.get(connection, call.tenant_id, call.bot_id)
        if bot is None:
            raise _Unanswerable("the bot has been removed")
        now = BotConfig.model_validate(bot.config).llm
        if (now.provider, now.base_url) != (llm.provider, llm.base_url):
            # A key is shown to nobody but whom it was given for.
            raise _Unanswerable("the bot has another language model now")
        had = masked(llm.model_dump(mode="json"))
        named = LlmConfig.model_validate(restored(had, now.model_dump(mode="json")))
        # Of several the same holds for each: those are asked that the keys were given for.
        return named.model_copy(update={"fallbacks": now.fallbacks})

    async def _settle(
        self,
        connection: AsyncConnection,
        row: TaskRow,
        result: dict[str, Any] | None,
        error: str | None,
    ) -> TaskRow:
        """Settle a task for good, and make the result that has waited for it, or amend it."""
        now = self._clock()
        call = await calls.get(connection, row.tenant_id, row.call_id)
        if call is not None and result is not None:
            config = BotConfig.model_validate(call.config or {})
            result = analysis.sound(config, TaskKind(row.kind), result)
        state = TaskState.FAILED if result is None else TaskState.DONE
        settled = replace(row, state=state, result=result, error=error, settled_at=now)
        await self._record(connection, settled)
        if call is None:
            return settled
        # Whoever settles another of the call's tasks waits here, and then finds this one settled.
        saved = await calls.save(connection, call, call)
        opened = await tasks.of_call(connection, row.tenant_id, row.call_id)
        has_result = await calls.has_result(connection, call)
        is_open = _is_open(opened)
        if not is_open:
            saved = await calls.save(connection, saved, revision.at_rest(saved))
        # The last answer makes the result; once there is one, each amends it.
        is_due = result is not None if has_result else not is_open
        if is_due:
            await self._revise(connection, saved, call, now)
        return settled

    async def _record(self, connection: AsyncConnection, row: TaskRow) -> None:
        if not await tasks.settle(connection, row):
            raise Denied(Code.STALE_ATTEMPT, "the task is somebody else's by now, or settled")

    async def _revise(
        self, connection: AsyncConnection, row: CallRow, with_secrets: CallRow, now: datetime
    ) -> None:
        config = with_secrets.config or {}
        await revision.add(connection, row, config, self._folder, now)
        await self._database.notify(connection)


def _is_open(rows: Sequence[TaskRow]) -> bool:
    return any(row.state == TaskState.PENDING for row in rows)
