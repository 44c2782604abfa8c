"""A real call whose every fact is kept by a real Postgres."""

from __future__ import annotations

from pathlib import Path

import asyncpg

from bridges.phone import Phone
from tests.integration.bots import TALKER
from tests.integration.platform import running_platform


async def new_database(server_url: str, name: str) -> str:
    """Make an empty database beside the one other tests share, and return its address."""
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(f"DROP DATABASE IF EXISTS {name}")
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return f"{server_url.rpartition('/')[0]}/{name}"


async def test_call_is_held_and_remembered_on_postgres(tmp_path: Path, postgres_url: str) -> None:
    database_url = await new_database(postgres_url, "one_call")
    async with running_platform(
        tmp_path, AGENT_IDLE_PROCESSES="1", DATABASE_URL=database_url
    ) as platform:
        await platform.save_bot("talker", TALKER)
        async with Phone.call(platform.stream_url("talker"), stream_id="kept", ring_s=0.5) as phone:
            await phone.hear()
        result = await platform.result("kept")
        call = await platform.call("kept")
        events = await platform.api.get(f"/api/v1/calls/{call['call_id']}/events")
    assert result["disconnected_by"] == "customer"
    assert "information line" in result["transcript"][0]["text"]
    sequences = [event["sequence"] for event in events.json()["events"]]
    assert sequences == sorted(set(sequences))
    assert not (tmp_path / "data" / "voicefleet.db").exists()
