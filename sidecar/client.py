"""How agents and bridges talk to the sidecar: a typed HTTP client, and a `Reporter` for facts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from contracts.command import CallCommand, CommandReceipt
from contracts.knowledge import KnowledgeFound, KnowledgeQuestion
from contracts.plan import AgentPlan, Claim, Plan, PlanRequest, RoomClaim, Wait
from contracts.recording import CallsKept, RecordingOffer, RecordingTarget
from contracts.report import Heartbeat, HeartbeatReceipt, Report, ReportReceipt
from contracts.task import Task, TaskAnswer, TaskClaim
from contracts.trunk import BridgeTrunks, DialClaim, DialOrders
from sidecar.adopter import Adopter, hand_in
from sidecar.denial import Code
from sidecar.egress import EgressGuard, EgressRefused
from sidecar.journal import Journal, Key, Left
from sidecar.refusal import Refused, SidecarError, Unavailable, is_final
from sidecar.reporter import Ledger, Reporter
from sidecar.spool import Spool

__all__ = [
    "Adopter",
    "EgressGuard",
    "EgressRefused",
    "Journal",
    "Key",
    "Ledger",
    "Left",
    "Refused",
    "Reporter",
    "SidecarClient",
    "SidecarError",
    "Spool",
    "Unavailable",
    "hand_in",
    "is_final",
]

SECRET_HEADER = "X-VoxCore-Secret"
UPLOAD_CHUNK_BYTES = 256 * 1024
CONFIRM_TIMEOUT_S = 120.0
"""The sidecar may have to read the file, and to join it with others."""
HEARTBEAT_TIMEOUT_S = 1.5
"""With a pause of a second before, and a short one after, below the three of being missed."""
WAIT_TIMEOUT_S = 40.0
"""Beyond what the sidecar holds a question open for."""
COMMAND_TIMEOUT_S = 50.0
"""A transfer's outcome may be half a minute away."""

Answer = TypeVar("Answer", bound=BaseModel)


class SidecarClient:
    """One sidecar, over one connection pool. Close it with `aclose` or `async with`.

    `tls` may be a context made before: reading the certificates takes 20 to 50 ms.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        timeout_s: float = 10.0,
        tls: ssl.SSLContext | bool = True,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={SECRET_HEADER: secret},
            timeout=timeout_s,
            verify=tls,
            transport=transport,
            trust_env=False,
        )

    async def plan(self, request: PlanRequest) -> Plan:
        """Ask for a call. A `Refused` carries the reason to tell the door's peer."""
        return await self._ask("POST", "/internal/v1/calls", Plan, request)

    async def claim(self, call_id: str, claim: Claim) -> AgentPlan:
        """Ask to serve a call. After a `Refused` the agent must leave without a sound."""
        return await self._ask("POST", f"/internal/v1/calls/{call_id}/claim", AgentPlan, claim)

    async def claim_room(self, claim: RoomClaim) -> AgentPlan:
        """Ask which call a room is that LiveKit SIP has made, and to serve it.

        After a `Refused` the caller has been sent away; the agent must leave without a sound.
        """
        return await self._ask("POST", "/internal/v1/rooms/claim", AgentPlan, claim)

    async def command(self, call_id: str, command: CallCommand) -> CommandReceipt:
        """Have something done to a caller's line that no bridge carries."""
        response = await self._send(
            "POST",
            f"/internal/v1/calls/{call_id}/command",
            content=command.model_dump_json(),
            timeout_s=COMMAND_TIMEOUT_S,
        )
        return _parsed(response, CommandReceipt)

    async def claim_dials(self, claim: DialClaim) -> DialOrders:
        """Ask for calls to place; held open until there is one. Each is given out once, ever."""
        response = await self._send(
            "POST",
            "/internal/v1/dials/claim",
            content=claim.model_dump_json(),
            timeout_s=WAIT_TIMEOUT_S,
        )
        return _parsed(response, DialOrders)

    async def bridge_trunks(self) -> BridgeTrunks:
        """Return the trunks of the own bridge."""
        return _parsed(await self._send("GET", "/internal/v1/trunks"), BridgeTrunks)

    async def search_knowledge(self, call_id: str, asked: KnowledgeQuestion) -> KnowledgeFound:
        """Look something up in the knowledge bases of a call's bot."""
        return await self._ask(
            "POST", f"/internal/v1/calls/{call_id}/knowledge", KnowledgeFound, asked
        )

    async def report(self, call_id: str, report: Report) -> ReportReceipt:
        """Hand in facts. Safe to repeat; most callers want a `Reporter` instead."""
        return await self._ask(
            "POST", f"/internal/v1/calls/{call_id}/reports", ReportReceipt, report
        )

    async def wait(self, standby_id: str, wait: Wait) -> AgentPlan | None:
        """Ask for the call of an agent that waits; held open until there is one. None: ask again.

        After a `Refused` nobody wants the agent any more.
        """
        path = f"/internal/v1/standbys/{standby_id}/wait"
        response = await self._send(
            "POST", path, content=wait.model_dump_json(), timeout_s=WAIT_TIMEOUT_S
        )
        return None if response.status_code == 204 else _parsed(response, AgentPlan)

    async def heartbeat(self, heartbeat: Heartbeat) -> HeartbeatReceipt:
        """Say that a worker or bridge is alive."""
        response = await self._send(
            "POST",
            "/internal/v1/heartbeats",
            content=heartbeat.model_dump_json(),
            timeout_s=HEARTBEAT_TIMEOUT_S,
        )
        # A sidecar that has not been updated yet says nothing.
        return _parsed(response, HeartbeatReceipt) if response.content else HeartbeatReceipt()

    async def claim_task(self, claim: TaskClaim) -> Task | None:
        """Ask for work after a call; None: there is none."""
        response = await self._send(
            "POST", "/internal/v1/tasks/claim", content=claim.model_dump_json()
        )
        return None if response.status_code == 204 else _parsed(response, Task)

    async def answer_task(self, task_id: str, answer: TaskAnswer) -> None:
        """Hand in what came of it. After a `Refused` it is somebody else's."""
        path = f"/internal/v1/tasks/{task_id}/answer"
        await self._send("POST", path, content=answer.model_dump_json())

    async def offer_recording(self, call_id: str, offer: RecordingOffer) -> RecordingTarget:
        """Ask where a complete recording is to go. A `Refused` as `call_live` asks to wait."""
        path = f"/internal/v1/calls/{call_id}/recording"
        return await self._ask("POST", path, RecordingTarget, offer)

    async def put_recording(self, call_id: str, path: Path, offer: RecordingOffer) -> None:
        """Hand the file to the sidecar itself, streamed from disk."""
        await self._send(
            "PUT",
            f"/internal/v1/calls/{call_id}/recording",
            params=offer.model_dump(),
            content=file_chunks(path),
            headers={"Content-Type": "audio/wav", "Content-Length": str(offer.size_bytes)},
        )

    async def confirm_recording(self, call_id: str, offer: RecordingOffer, key: str) -> None:
        """Say that the file is where the sidecar had it put; it looks for itself."""
        await self._send(
            "POST",
            f"/internal/v1/calls/{call_id}/recording/stored",
            content=offer.model_dump_json(),
            params={"key": key},
            timeout_s=CONFIRM_TIMEOUT_S,
        )

    async def erased(self, call_ids: Sequence[str]) -> set[str]:
        """Return which of up to 1000 calls were erased: whatever is kept of them is to go."""
        kept = CallsKept(call_ids=list(call_ids))
        return set((await self._ask("POST", "/internal/v1/erased", CallsKept, kept)).call_ids)

    async def fleet(self) -> dict[str, Any]:
        """Return `/health/fleet`."""
        return _json_object(await self._send("GET", "/health/fleet"))

    async def aclose(self) -> None:
        """Close the connection pool."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def _ask(self, method: str, path: str, answer: type[Answer], body: BaseModel) -> Answer:
        return _parsed(await self._send(method, path, content=body.model_dump_json()), answer)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        content: str | AsyncIterator[bytes] | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> httpx.Response:
        head = {"Content-Type": "application/json", **(headers or {})}
        try:
            response = await self._http.request(
                method,
                path,
                content=content,
                params=params,
                headers=head,
                timeout=self._http.timeout if timeout_s is None else timeout_s,
            )
        except httpx.TransportError as error:
            raise Unavailable(f"{method} {path}: {type(error).__name__}") from error
        if response.is_success:
            return response
        raise _refusal(response)


def _refusal(response: httpx.Response) -> SidecarError:
    try:
        error = response.json()["error"]
        code, message, details = error["code"], error["message"], error.get("details", {})
    except (ValueError, KeyError, TypeError):
        if response.is_server_error:
            return Unavailable(f"{response.request.url.path}: status {response.status_code}")
        code, message, details = "unknown", response.reason_phrase, {}
    if code == Code.STORE_UNAVAILABLE:
        return Unavailable(f"{response.request.url.path}: {message}")
    retry_after = response.headers.get("Retry-After", "")
    retry_after_s = float(retry_after) if retry_after.isdecimal() else None
    return Refused(response.status_code, code, message, retry_after_s, details)


def _parsed(response: httpx.Response, answer: type[Answer]) -> Answer:
    try:
        return answer.model_validate_json(response.content)
    except ValidationError as error:
        path = response.request.url.path
        raise Unavailable(f"{path}: the answer is not a {answer.__name__}") from error


def _json_object(response: httpx.Response) -> dict[str, Any]:
    try:
        return dict(response.json())
    except (ValueError, TypeError) as error:
        raise Unavailable(
            f"{response.request.url.path}: the answer is not a JSON object"
        ) from error


async def file_chunks(path: Path) -> AsyncIterator[bytes]:
    """Yield a file's content, read beside the loop."""
    with await asyncio.to_thread(path.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, UPLOAD_CHUNK_BYTES):
            yield chunk
