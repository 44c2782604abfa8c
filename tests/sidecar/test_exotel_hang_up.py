"""Hanging up by Exotel's API: only where a flow is heard of no more, and never on a human."""

from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.ids import Channel
from contracts.outcome import Reason
from contracts.report import LegEnded, Source, TransferStarted
from sidecar.configure import ConfigSource
from sidecar.courier import Courier, Trust
from sidecar.credential import Credentials
from sidecar.egress import EgressGuard, Resolve
from sidecar.exotel_hang_up import DELAYS_S, HANG_UP_CALL, LATEST
from sidecar.secrecy import MASK
from sidecar.store import cdrs, deliveries
from sidecar.store.deliveries import Delivery, DeliveryState
from tests.fakes.control_plane import ControlPlane
from tests.fakes.keyring import Unkeyed
from tests.fakes.outbox import Bench, FixedSecrets, Receiver, public

API = {"account_sid": "acme1", "api_key": "key-1", "api_token": "secret://exotel-token"}
TOKEN = "t0ken-of-the-account"
URL = "https://api.in.exotel.com/v1/Accounts/acme1/Calls/c1"


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


def unasked(url: str) -> ConfigSource:
    raise AssertionError(url)


class Line:
    """A call from Exotel whose bot has the account's keys, and Exotel's API."""

    def __init__(
        self, plane: ControlPlane, secrets: Path, *answers: Any, resolve: Resolve = public
    ) -> None:
        self.plane = plane
        self.exotel = Receiver(*answers)
        (secrets / "exotel-token").write_text(f"{TOKEN}\n")
        courier = Courier(
            httpx.AsyncClient(transport=httpx.MockTransport(self.exotel)),
            EgressGuard(allow_private=False, resolve=resolve),
            FixedSecrets(),
            Credentials(plane.database, unasked, Unkeyed(secrets)),
            Trust("service-secret"),
            timeout_s=15,
        )
        self.bench = Bench(plane.database, self.exotel, clock=plane.clock, courier_=courier)

    async def ended(
        self, reason: Reason = Reason.BOT_ENDED, *, bot: dict[str, Any] | None = None, **call: Any
    ) -> str:
        """Return a call that has talked, and ended so."""
        await self.plane.ready(**{"webhook_url": "", "exotel_api": API, **(bot or {})})
        given: dict[str, Any] = {
            "channel": Channel.EXOTEL,
            "stream_id": "s1",
            "connected_event": {"call_sid": "c1", "account_sid": "acme1"},
            **call,
        }
        call_id = await self.plane.talking(**given)
        await self.plane.end(call_id, leg=reason)
        return call_id

    async def hang_up(self, call_id: str) -> Delivery | None:
        async with self.plane.database.read() as connection:
            return await deliveries.get(connection, "default", f"{call_id}-hang-up")

    async def settled(self, call_id: str) -> Delivery:
        return await self.bench.until_settled(f"{call_id}-hang-up")


async def test_call_whose_flow_is_silent_is_hung_up(plane: ControlPlane, tmp_path: Path) -> None:
    line = Line(plane, tmp_path)
    call_id = await line.ended()
    ended_at = plane.clock()
    assert not await line.bench.outbox.deliver_one()
    row = await line.settled(call_id)
    assert (row.state, row.kind, row.last_error) == ("delivered", HANG_UP_CALL, None)
    assert plane.clock() - ended_at == timedelta(seconds=DELAYS_S[0])
    (request,) = line.exotel.requests
    assert (request.method, str(request.url.copy_with(host="api.in.exotel.com"))) == ("POST", URL)
    assert request.headers["Host"] == "api.in.exotel.com"
    assert request.headers["Authorization"] == basic(f"key-1:{TOKEN}")
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.content == b"Status=completed"
    assert TOKEN not in str(row)


async def test_leg_is_hung_up_by_the_api_for_legs(plane: ControlPlane, tmp_path: Path) -> None:
    api = {**API, "hang_up": "leg", "host": "cpaas-api.in.exotel.com"}
    line = Line(plane, tmp_path)
    call_id = await line.ended(bot={"exotel_api": api})
    assert (await line.settled(call_id)).state == DeliveryState.DELIVERED
    (request,) = line.exotel.requests
    assert request.url.path == "/v2/accounts/acme1/legs/c1/actions/hangup"
    assert request.headers["Content-Type"] == "application/json"
    assert request.content == b"{}"


@pytest.mark.parametrize(
    "reason",
    [Reason.MAX_DURATION, Reason.DEAD_AIR, Reason.MEDIA_TIMEOUT, Reason.PIPELINE_FAILED],
)
async def test_call_that_ended_on_our_side_is_hung_up(
    plane: ControlPlane, tmp_path: Path, reason: Reason
) -> None:
    line = Line(plane, tmp_path)
    assert await line.hang_up(await line.ended(reason)) is not None


@pytest.mark.parametrize(
    "reason",
    [
        Reason.CALLER_HUNG_UP,
        Reason.CALLER_DISCONNECTED,
        Reason.TRANSFERRED,
        Reason.AGENT_DESK,
    ],
)
async def test_call_that_is_not_ours_to_end_is_not_hung_up(
    plane: ControlPlane, tmp_path: Path, reason: Reason
) -> None:
    line = Line(plane, tmp_path)
    assert await line.hang_up(await line.ended(reason)) is None


@pytest.mark.parametrize(
    "call",
    [
        {"channel": Channel.WEBSOCKET},
        {"connected_event": {}},
        {"connected_event": {"call_sid": 7}},
        {"connected_event": {"call_sid": "../../c1"}},
    ],
)
async def test_call_that_exotel_has_not_named_is_not_hung_up(
    plane: ControlPlane, tmp_path: Path, call: dict[str, Any]
) -> None:
    line = Line(plane, tmp_path)
    assert await line.hang_up(await line.ended(**call)) is None


async def test_without_keys_nobody_is_hung_up(plane: ControlPlane, tmp_path: Path) -> None:
    line = Line(plane, tmp_path)
    assert await line.hang_up(await line.ended(bot={"exotel_api": None})) is None


async def test_call_that_was_never_answered_is_its_flows(
    plane: ControlPlane, tmp_path: Path
) -> None:
    line = Line(plane, tmp_path)
    await plane.ready(webhook_url="", exotel_api=API)
    plan = await plane.plan(channel=Channel.EXOTEL, connected_event={"call_sid": "c1"})
    ended = LegEnded(at=plane.clock(), reason=Reason.BOT_ENDED)
    await plane.report(plan.call_id, Source.BRIDGE, 1, ended)
    assert (await plane.row(plan.call_id)).is_ended
    assert await line.hang_up(plan.call_id) is None


async def test_flow_that_has_gone_on_is_left_alone(plane: ControlPlane, tmp_path: Path) -> None:
    line = Line(plane, tmp_path)
    call_id = await line.ended()
    async with plane.database.transaction() as connection:
        await cdrs.save(connection, "default", "s1", {}, plane.clock())
    row = await line.settled(call_id)
    assert (row.state, row.last_error) == ("delivered", "not needed: the flow has gone on")
    assert line.exotel.requests == []


@pytest.mark.parametrize("bot_id", ["desk", "sales"])
async def test_caller_who_talks_to_a_bot_again_is_not_hung_up(
    plane: ControlPlane, tmp_path: Path, bot_id: str
) -> None:
    """A flow without Passthru may have one Voicebot after the other."""
    line = Line(plane, tmp_path)
    first = await line.ended()
    await plane.add_bot(bot_id="sales")
    plane.clock.advance(1)
    second = await plane.talking(
        "k2",
        bot_id=bot_id,
        channel=Channel.EXOTEL,
        stream_id="s2",
        connected_event={"call_sid": "c1"},
    )
    row = await line.settled(first)
    why = "not needed: the flow has come to a bot again"
    assert (row.state, row.last_error) == ("delivered", why)
    assert line.exotel.requests == []
    await plane.end(second, leg=Reason.BOT_ENDED)
    assert (await line.hang_up(second) is not None) is (bot_id == "desk")


async def test_caller_who_was_handed_over_is_never_hung_up(
    plane: ControlPlane, tmp_path: Path
) -> None:
    """However late the agent's word of it comes."""
    line = Line(plane, tmp_path)
    call_id = await line.ended(Reason.BRIDGE_LOST)
    started = TransferStarted(at=plane.clock(), destination="+913", method="exotel_passthru")
    await plane.report(call_id, Source.AGENT, 4, started)
    row = await line.settled(call_id)
    assert (row.state, row.last_error) == ("delivered", "not needed: the caller was handed over")
    assert line.exotel.requests == []


async def test_hang_up_that_comes_much_too_late_is_not_made(
    plane: ControlPlane, tmp_path: Path
) -> None:
    line = Line(plane, tmp_path)
    call_id = await line.ended()
    plane.clock.at += LATEST + timedelta(seconds=1)
    row = await line.settled(call_id)
    assert (row.state, row.last_error) == ("delivered", "not needed: the call is long over")


async def test_hang_up_is_tried_three_times(plane: ControlPlane, tmp_path: Path) -> None:
    line = Line(plane, tmp_path, 500, httpx.ConnectError("refused"), 404)
    call_id = await line.ended()
    ended_at = plane.clock()
    row = await line.settled(call_id)
    assert (row.state, row.last_error) == (DeliveryState.DEAD, "status 404")
    assert plane.clock() - ended_at == timedelta(seconds=sum(DELAYS_S))
    assert len(line.exotel.requests) == len(DELAYS_S)


async def test_what_exotel_answers_is_kept_without_the_keys(
    plane: ControlPlane, tmp_path: Path
) -> None:
    line = Line(plane, tmp_path, httpx.Response(200, text=f"you said {basic(f'key-1:{TOKEN}')}"))
    call_id = await line.ended()
    await line.settled(call_id)
    (attempt,) = await line.bench.attempts(f"{call_id}-hang-up")
    assert "you said" in attempt.response
    assert basic(f"key-1:{TOKEN}").split()[1] not in attempt.response


@pytest.mark.parametrize(
    "changed",
    [
        {**API, "account_sid": "acme2"},
        {**API, "host": "api.exotel.example"},
        {**API, "api_token": "secret://not-there"},
        {"account_sid": "acme1"},
        None,
    ],
)
async def test_keys_are_shown_to_their_own_account_alone(
    plane: ControlPlane, tmp_path: Path, changed: dict[str, str] | None
) -> None:
    line = Line(plane, tmp_path)
    call_id = await line.ended()
    await plane.add_bot(exotel_api=changed)
    row = await line.settled(call_id)
    assert row.state == DeliveryState.DEAD
    assert row.last_error is not None
    assert row.last_error.startswith("HeaderInvalid")
    assert TOKEN not in row.last_error
    assert line.exotel.requests == []


async def test_private_address_is_not_called(plane: ControlPlane, tmp_path: Path) -> None:
    async def private(host: str, port: int) -> list[str]:
        return ["10.0.0.7"]

    line = Line(plane, tmp_path, resolve=private)
    row = await line.settled(await line.ended())
    assert (row.state, line.exotel.requests) == (DeliveryState.DEAD, [])


async def test_keys_are_not_kept_with_the_call(plane: ControlPlane, tmp_path: Path) -> None:
    line = Line(plane, tmp_path)
    call_id = await line.ended(bot={"exotel_api": {**API, "api_token": TOKEN}})
    config = (await plane.row(call_id)).config
    assert config is not None
    api = config["exotel_api"]
    assert (api["account_sid"], api["api_key"], api["api_token"]) == ("acme1", MASK, MASK)
    await line.settled(call_id)
    (request,) = line.exotel.requests
    assert request.headers["Authorization"] == basic(f"key-1:{TOKEN}")
