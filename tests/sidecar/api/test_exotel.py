"""`/exotel/{bot_id}/url`, `/passthru` and `/transfer` as Exotel asks them, and others who do."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette

from contracts.ids import Channel
from contracts.report import Source, TransferStarted
from sidecar.api import exotel as exotel_api
from sidecar.denial import Code, Denied
from sidecar.exotel import Exotel, Visitor
from sidecar.exotel_passthru import StreamReport
from sidecar.store.database import Database
from tests.fakes.control_plane import ControlPlane
from tests.fakes.failing_database import FailingDatabase
from tests.fakes.sidecar_app import SidecarApp, running_app

STREAM = {"CallSid": "c1", "Stream[StreamSID]": "s1", "Stream[Status]": "completed"}


class Flow:
    """Exotel, at a bot with a call that talks."""

    def __init__(self, sidecar: SidecarApp, plane: ControlPlane, call_id: str) -> None:
        self.sidecar = sidecar
        self.plane = plane
        self.call_id = call_id

    async def ask(self, path: str, method: str = "GET", **request: Any) -> httpx.Response:
        async with self.sidecar.http() as http:
            return await http.request(method, f"/exotel/{path}", **request)

    async def hand_over(self) -> None:
        started = TransferStarted(
            at=self.plane.clock(), destination="+914412345678", method="exotel_passthru"
        )
        await self.plane.report(self.call_id, Source.AGENT, 3, started)

    async def call(self) -> Any:
        async with self.sidecar.operator() as operator:
            return (await operator.get(f"/api/v1/calls/{self.call_id}")).json()


@pytest.fixture
async def flow(sqlite: Database, tmp_path: Path) -> AsyncIterator[Flow]:
    plane = ControlPlane(sqlite, tmp_path / "recordings")
    await plane.ready()
    call_id = await plane.talking(
        channel=Channel.EXOTEL, stream_id="s1", connected_event={"call_sid": "c1"}
    )
    async with running_app(sqlite, tmp_path, clock=plane.clock) as sidecar:
        yield Flow(sidecar, plane, call_id)


def basic(text: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


async def test_url_is_the_one_key_of_the_answer(flow: Flow) -> None:
    params = {"CallSid": "c2", "CallFrom": "+911", "CallTo": "+912", "call.lang": "hi"}
    answer = await flow.ask("desk/url", params=params)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json() == {"url": "ws://sidecar/exotel/desk?lang=hi"}


async def test_token_may_be_as_long_as_a_stream_takes_it(flow: Flow) -> None:
    await flow.plane.add_bot(stream_token="x" * 300)
    assert (await flow.ask("desk/url", params={"token": "x" * 300})).status_code == 200
    assert (await flow.ask("desk/url", params={"token": "x" * 301})).status_code == 401


async def test_url_is_where_the_operator_says(sqlite: Database, tmp_path: Path) -> None:
    plane = ControlPlane(sqlite, tmp_path / "recordings")
    await plane.ready()
    url = ["wss://voice.example.com"]
    running = running_app(sqlite, tmp_path, clock=plane.clock, stream_public_url=url)
    async with running as sidecar, sidecar.http() as http:
        answer = await http.get("/exotel/desk/url", headers={"Host": "evil.example"})
    assert answer.json() == {"url": "wss://voice.example.com/exotel/desk"}


@pytest.mark.parametrize(
    ("path", "params", "status", "code"),
    [
        ("sales/url", {}, 404, "bot_unknown"),
        ("..%2F..%2Fdesk/url", {}, 404, "not_found"),
        ("%2e%2e/url", {}, 404, "bot_unknown"),
        ("desk%00/url", {}, 404, "bot_unknown"),
        ("%FF%FE/url", {}, 404, "bot_unknown"),
        ("x" * 10_000 + "/url", {}, 404, "bot_unknown"),
        ("desk/url", {"call.a": "x" * 10_000}, 422, "body_invalid"),
        ("desk/url", [("call.a", "1"), ("call.a", "2")], 422, "body_invalid"),
        ("desk/transfer", {"CallSid": "c9"}, 404, "number_unknown"),
        ("desk/transfer", {}, 404, "number_unknown"),
    ],
)
async def test_refusals_have_our_form(
    flow: Flow, path: str, params: Any, status: int, code: str
) -> None:
    answer = await flow.ask(path, params=params)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code


async def test_full_house_is_unavailable_to_a_flow(flow: Flow) -> None:
    await flow.plane.beat(max_calls=1)
    answer = await flow.ask("desk/url")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "at_capacity")
    assert answer.headers["Retry-After"]


@pytest.mark.parametrize(
    "shown",
    [
        {"params": {"token": "hunter2"}},
        {"params": [("token", "hunter2"), ("token", "x")]},
        {"headers": basic("KEY:hunter2")},
        {"headers": {"Authorization": "Bearer hunter2"}},
    ],
)
async def test_token_opens_in_each_of_its_places(flow: Flow, shown: Any) -> None:
    await flow.plane.add_bot(stream_token="hunter2")
    for path in ("desk/url", "desk/passthru"):
        assert (await flow.ask(path, **shown)).status_code == 200


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"params": {"token": "x" * 10_000}},
        {"params": [("token", "x"), ("token", "hunter2")]},
        {"headers": basic("hunter2:KEY")},
        {"headers": {"Authorization": "Basic %%%"}},
        {"headers": {"Authorization": "Basic /w=="}},
        {"headers": {"Authorization": "Digest hunter2"}},
    ],
)
@pytest.mark.parametrize("path", ["desk/url", "desk/passthru", "desk/transfer"])
async def test_without_the_token_nothing_is_told(flow: Flow, path: str, shown: Any) -> None:
    await flow.plane.add_bot(stream_token="hunter2")
    await flow.hand_over()
    answer = await flow.ask(path, **shown)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorised")


@pytest.mark.parametrize(
    "request_",
    [
        {"params": STREAM},
        {"params": {"CallSid": "c1", "Stream": '{"StreamSID": "s1", "Status": "completed"}'}},
        {"method": "POST", "json": {"CallSid": "c1", "StreamSid": "s1", "Status": "completed"}},
        {"method": "POST", "json": {"callsid": "c1", "Stream": {"StreamSID": "s1"}}},
        {"method": "POST", "data": {"callsid": "c1", "streamsid": "s1", "status": "completed"}},
        {"method": "POST", "params": STREAM, "content": b"\xff\xfe\x00"},
    ],
)
async def test_flow_is_told_to_connect_in_every_spelling(flow: Flow, request_: Any) -> None:
    await flow.hand_over()
    for _ in range(2):
        answer = await flow.ask("desk/passthru", **request_)
        assert (answer.status_code, answer.content) == (302, b"")
    assert (await flow.call())["cdr"]["CallSid"] == "c1"


async def test_number_is_told_in_the_connect_applets_words(flow: Flow) -> None:
    await flow.hand_over()
    answer = await flow.ask("desk/transfer", params={"CallSid": "c1", "CallFrom": "+911"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json() == {
        "fetch_after_attempt": False,
        "destination": {"numbers": ["+914412345678"]},
    }


async def test_record_is_shown_with_the_call(flow: Flow) -> None:
    await flow.plane.end(flow.call_id)
    params = {
        **STREAM,
        "Stream[Duration]": "28",
        "Stream[RecordingUrl]": "https://rec.example/1.mp3",
    }
    assert (await flow.ask("desk/passthru", params=params)).status_code == 200
    call = await flow.call()
    assert (call["cdr_talktime"], call["cdr_call_status"]) == (28, "completed")
    assert call["cdr_recording_url"] == "https://rec.example/1.mp3"


@pytest.mark.parametrize(
    "request_",
    [
        {"params": {"CallSid": "x" * 10_000, "Stream[Error]": "y" * 10_000}},
        {"params": {"CallSid": "c8\0", "Stream": "{" * 10_000}},
        {"params": "CallSid=c8&Stream%5BError%5D=%ff%fe&CallSid=c9&%00=%00"},
        {"method": "POST", "content": b"[1, 2]"},
        {"method": "POST", "content": b"null"},
        {"method": "POST", "content": b"\x00" * 1000},
        {"method": "POST", "json": {"CallSid": ["c1"], "Stream": [1], "Status": {"a": 1}}},
    ],
)
async def test_nonsense_is_answered_and_goes_no_further(flow: Flow, request_: Any) -> None:
    await flow.plane.end(flow.call_id)
    assert (await flow.ask("desk/passthru", **request_)).status_code == 200
    assert (await flow.call())["cdr"] is None


@pytest.mark.parametrize(
    "request_",
    [
        {"method": "POST", "content": b"a" * 70_000},
        {"params": [("a", "b")] * 101},
        {"method": "POST", "content": b"&".join([b"a=b"] * 101)},
    ],
)
async def test_more_than_a_report_is_refused(flow: Flow, request_: Any) -> None:
    answer = await flow.ask("desk/passthru", **request_)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "body_invalid")


async def test_database_that_takes_nothing_keeps_no_caller_from_a_human(
    sqlite: FailingDatabase, flow: Flow
) -> None:
    await flow.hand_over()
    sqlite.be_away(0, 50)
    assert (await flow.ask("desk/passthru", params=STREAM)).status_code == 302


class Broken:
    """The control plane's half, out of order."""

    def __init__(self, failure: Exception) -> None:
        self._failure = failure

    async def passthru(self, visitor: Visitor, report: StreamReport) -> bool:
        raise self._failure


@pytest.mark.parametrize(
    "failure",
    [
        OperationalError("select", {}, Exception("locked")),
        TimeoutError(),
        OSError("disk"),
        Denied(Code.CONFIG_UNAVAILABLE, "the config API does not answer"),
    ],
)
async def test_flow_goes_on_whatever_is_out_of_order(failure: Exception) -> None:
    app = Starlette(routes=exotel_api.routes(cast(Exotel, Broken(failure))))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sidecar") as http:
        assert (await http.get("/exotel/desk/passthru", params=STREAM)).status_code == 200
