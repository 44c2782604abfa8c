"""`/api/v1/call-results`: what other runtimes tell adds up, and null never overwrites."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.sidecar_app import SidecarApp

FIRST: dict[str, Any] = {
    "session_id": "s1",
    "stream_id": "stream-9",
    "caller_id": "+15550100",
    "call_duration_seconds": 12.5,
    "disconnected_by": "customer",
    "transcript": [{"role": "bot", "content": "Hello.", "of_their_own": 1}],
    "post_call_analysis": {"DISPOSITION": "PTP", "odd": [None]},
    "connected_event": {"customer_name": "Sam"},
    "a_key_from_the_future": {"kept": True},
}


async def post(sidecar: SidecarApp, body: Any, header: str = "X_VoxCore_Secret") -> Any:
    async with sidecar.http(**{header: "s3cret"}) as http:
        return (await http.post("/api/v1/call-results", json=body)).json()


async def stored(sidecar: SidecarApp, session_id: str = "s1") -> Any:
    async with sidecar.operator() as operator:
        return (await operator.get(f"/api/v1/call-results/{session_id}")).json()


@pytest.mark.parametrize("header", ["X_VoxCore_Secret", "X_CXBCore_Secret", "X_CXB_Core_Secret"])
async def test_result_is_kept_whole(sidecar: SidecarApp, header: str) -> None:
    assert await post(sidecar, FIRST, header) == {"status": "ok", "session_id": "s1"}
    found = await stored(sidecar)
    assert found["result"].items() >= FIRST.items()
    assert found["status"] == "completed"
    assert found["completed_at"]


async def test_null_never_overwrites(sidecar: SidecarApp) -> None:
    await post(sidecar, FIRST)
    later = {**dict.fromkeys(FIRST), "session_id": "s1", "qc_analysis": {"overall_score": 9}}
    await post(sidecar, later)
    found = (await stored(sidecar))["result"]
    assert found.items() >= {**FIRST, "qc_analysis": {"overall_score": 9}}.items()


async def test_later_report_changes_what_it_names(sidecar: SidecarApp) -> None:
    await post(sidecar, FIRST)
    await post(sidecar, {"session_id": "s1", "disconnected_by": "error"})
    found = await stored(sidecar)
    assert found["status"] == "failed"
    assert found["result"]["caller_id"] == "+15550100"


async def test_older_revision_that_comes_late_only_fills_gaps(sidecar: SidecarApp) -> None:
    amended = {"session_id": "s1", "revision": 1, "post_call_analysis": {"DISPOSITION": "PTP"}}
    await post(sidecar, amended)
    late = {"session_id": "s1", "revision": 0, "post_call_analysis": {"DISPOSITION": "RNR"}}
    await post(sidecar, {**late, "caller_id": "+15550100"})
    found = (await stored(sidecar))["result"]
    assert found["post_call_analysis"] == {"DISPOSITION": "PTP"}
    assert (found["revision"], found["caller_id"]) == (1, "+15550100")


async def test_recording_token_is_minted_once_and_theirs_wins(sidecar: SidecarApp) -> None:
    await post(sidecar, FIRST)
    minted = (await stored(sidecar))["recording_access_token"]
    assert len(minted) == 32
    await post(sidecar, FIRST)
    assert (await stored(sidecar))["recording_access_token"] == minted
    await post(sidecar, {**FIRST, "recording_access_token": "theirs"})
    await post(sidecar, FIRST)
    assert (await stored(sidecar))["recording_access_token"] == "theirs"


@pytest.mark.parametrize(
    ("disconnected_by", "status"),
    [
        ("error", "failed"),
        ("no_answer", "failed"),
        ("rejected", "failed"),
        ("voicemail", "voicemail"),
        ("bot", "completed"),
        ("a word of the future", "completed"),
        (None, "completed"),
    ],
)
async def test_status_follows_from_who_ended_it(
    sidecar: SidecarApp, disconnected_by: str | None, status: str
) -> None:
    await post(sidecar, {"session_id": "s1", "disconnected_by": disconnected_by})
    assert (await stored(sidecar))["status"] == status


async def test_cdr_of_the_stream_is_shown(sidecar: SidecarApp) -> None:
    await post(sidecar, FIRST)
    async with sidecar.http(X_VoxCore_Secret="s3cret") as http:
        await http.post("/api/v1/cdr", json={"streamId": "stream-9", "talktime": 7})
    assert (await stored(sidecar))["cdr_talktime"] == 7


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"session_id": ""},
        {"session_id": "s" * 201},
        {"session_id": "s1", "transcript": "text"},
        {"session_id": "s1", "call_duration_seconds": "long"},
    ],
)
async def test_what_is_no_result_is_refused(sidecar: SidecarApp, body: dict[str, Any]) -> None:
    assert (await post(sidecar, body))["error"]["code"] == "body_invalid"


async def test_secret_is_needed_to_post_and_an_admin_key_to_read(sidecar: SidecarApp) -> None:
    async with sidecar.http(X_API_Key="admin") as http:
        assert (await http.post("/api/v1/call-results", json=FIRST)).status_code == 403
    await post(sidecar, FIRST)
    async with sidecar.operator() as operator:
        wanted = {"name": "CRM", "bot_ids": ["desk"]}
        key = (await operator.post("/api/v1/api-keys", json=wanted)).json()["key"]
        assert (await operator.get("/api/v1/call-results/s2")).status_code == 404
    async with sidecar.operator(key) as scoped:
        assert (await scoped.get("/api/v1/call-results/s1")).status_code == 403
