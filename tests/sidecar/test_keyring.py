"""What completes a bot's config: the tenant's keys, and what references lead to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from contracts.bot import BotConfig, CrmPrefetch
from contracts.ids import Channel
from contracts.outcome import Reason
from contracts.plan import PlanRequest
from contracts.report import AgentEnded, LegEnded, Source, ToolCalled, TranscriptLine
from contracts.task import TaskAnswer, TaskClaim
from sidecar.configure import OwnBots
from sidecar.denial import Code, Denied
from sidecar.egress import EgressGuard
from sidecar.keyring import PROVIDERS, Keyring
from sidecar.store import vendor_keys
from sidecar.store.database import Database
from sidecar.store.schema import metadata
from sidecar.vault import SecretMissing, Vault
from sidecar.vetting import VettedConfigs, Vetting
from tests.fakes.control_plane import START, ControlPlane
from tests.fakes.keyring import Unkeyed

VALUES = {
    "llm": "sk-of-the-llm",
    "spare": "sk-of-the-fallback",
    "crm": "token-of-the-crm",
    "tool": "token-of-the-tool",
    "stream": "token-of-the-stream",
}

TOOL = {"name": "t", "url": "https://tool.example/t"}
EXOTEL = {"account_sid": "acme1", "api_key": "k", "api_token": "t"}


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name, value in VALUES.items():
        (folder / name).write_text(value)
    (folder / "acme").mkdir()
    return folder


async def keep(database: Database, tenant_id: str, provider: str, api_key: str) -> None:
    async with database.transaction() as connection:
        await vendor_keys.save(connection, tenant_id, provider, api_key, START)


def bot(**config: Any) -> dict[str, Any]:
    return BotConfig.model_validate(config).model_dump(mode="json")


async def test_tenants_key_stands_in_where_a_bot_brings_none(
    sqlite: Database, secrets: Path
) -> None:
    await keep(sqlite, "default", "openai", "secret://llm")
    await keep(sqlite, "default", "deepgram", "kept")
    await keep(sqlite, "acme", "openai", "acme's")
    keyring = Keyring(sqlite, Vault(secrets))
    openai = {"provider": "openai", "model": "m"}
    config = bot(
        stt={"provider": "deepgram", "api_key": "own"},
        llm={**openai, "fallbacks": [openai, {**openai, "base_url": "https://own.example/v1"}]},
        realtime=openai,
    )
    await keyring.load("default", bot())
    assert keyring.completed("default", config).config.llm.api_key == ""
    await keyring.load("default", config)
    found = keyring.completed("default", config)
    assert found.missing == []
    assert found.config.stt.api_key == "own"
    assert found.config.llm.api_key == VALUES["llm"]
    assert [each.api_key for each in found.config.llm.fallbacks] == [VALUES["llm"], ""]
    assert found.config.realtime is not None
    assert found.config.realtime.api_key == VALUES["llm"]
    assert found.config.tts.api_key == ""
    # Nobody else's, and nobody's before they were looked up.
    assert keyring.completed("acme", config).config.llm.api_key == ""


async def test_references_are_followed_where_secrets_may_stand(secrets: Path) -> None:
    config = bot(
        system_prompt="Say secret://llm.",
        llm={"provider": "openai", "model": "secret://llm", "api_key": "secret://llm"},
        tools=[
            {
                **TOOL,
                "headers": {"Authorization": "Bearer secret://tool", "Accept": "secret://tool"},
            }
        ],
    )
    found = Unkeyed(secrets).completed("default", config).config
    assert (found.system_prompt, found.llm.model) == ("Say secret://llm.", "secret://llm")
    assert found.llm.api_key == VALUES["llm"]
    [tool] = found.model_dump(mode="json")["tools"]
    assert tool["headers"] == {
        "Authorization": f"Bearer {VALUES['tool']}",
        "Accept": "secret://tool",
    }


async def test_what_is_missing_is_left_empty_and_told(secrets: Path) -> None:
    config = bot(stt={"provider": "deepgram", "api_key": "secret://gone"}, bot_id="desk")
    found = Unkeyed(secrets).completed("default", config)
    assert found.config.stt.api_key == ""
    [missing] = found.missing
    assert missing.field == "stt.api_key"
    assert "secret://gone" in missing.message
    with capture_logs() as logs:
        Unkeyed(secrets).for_use("default", config)
    assert [(line["event"], line["fields"]) for line in logs] == [
        ("secrets_missing", ["stt.api_key"])
    ]


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"exotel_api": {**EXOTEL, "api_key": "secret://gone"}}, "exotel_api.api_key"),
        ({"pronunciation": {"words": {"token": "secret://gone"}}}, "pronunciation.words.token"),
        ({"widget_api_key": "secret://long"}, "widget_api_key"),
    ],
)
async def test_field_that_cannot_be_empty_stays_as_it_was_written(
    secrets: Path, config: dict[str, Any], field: str
) -> None:
    (secrets / "long").write_text("x" * 201)
    llm = {"provider": "openai", "model": "m", "api_key": "secret://llm"}
    found = Unkeyed(secrets).completed("default", bot(llm=llm, **config))
    assert [each.field for each in found.missing] == [field]
    assert "xx" not in str(found.missing)
    # What else the call needs is there.
    assert found.config.llm.api_key == VALUES["llm"]


@pytest.mark.parametrize(("url", "is_trusted"), [
    ("", True),
    ("https://control.example/api/v1/config", True),
    ("https://evil.example/config", False),
    ("http://control.example/config", False),
    ("nonsense", False),
])  # fmt: skip
async def test_config_from_a_place_nobody_trusts_gets_no_secrets(
    sqlite: Database, secrets: Path, url: str, is_trusted: bool
) -> None:
    await keep(sqlite, "default", "openai", "kept")
    keyring = Keyring(sqlite, Vault(secrets), trusted=["https://control.example/x"])
    llm = {"provider": "openai", "model": "m"}
    await keyring.load("default", bot(llm=llm))
    tools = [{**TOOL, "headers": {"X-Key": "secret://tool"}}]
    found = keyring.completed("default", bot(llm=llm, tools=tools), url)
    assert bool(found.config.llm.api_key) is is_trusted
    assert [each.field for each in found.missing] == [] if is_trusted else ["tools.0.headers.X-Key"]
    crm = CrmPrefetch(url="https://crm.example", token="Bearer secret://crm")
    if is_trusted:
        assert keyring.revealed("default", crm, url).token == f"Bearer {VALUES['crm']}"
    else:
        with pytest.raises(SecretMissing):
            keyring.revealed("default", crm, url)


def test_vendors_that_need_no_key_can_be_given_none() -> None:
    assert {"openai", "deepgram", "elevenlabs"} <= set(PROVIDERS)
    assert not {"offline", "rules"} & set(PROVIDERS)


@pytest.mark.parametrize(
    ("name", "part"), [("llm", {"provider": "openai", "model": "m"}), ("exotel_api", EXOTEL)]
)
async def test_secret_that_vanished_is_told_before_a_call(
    plane: ControlPlane, name: str, part: dict[str, Any]
) -> None:
    await plane.add_bot(**{name: {**part, "api_key": "secret://gone"}})
    vetting = Vetting(EgressGuard(allow_private=True), plane.keyring)
    configs = VettedConfigs(OwnBots(plane.database), vetting)
    await plane.beat()
    request = PlanRequest(channel=Channel.WEBSOCKET, bot_id="desk", idempotency_key="k1")
    with pytest.raises(Denied) as denied:
        await plane.planner.plan("default", request, configs=configs)
    assert denied.value.code is Code.CONFIG_INVALID
    [error] = denied.value.details["errors"]
    assert error["loc"] == [name, "api_key"]


async def test_no_value_of_a_secret_is_anywhere_once_its_call_is_over(
    database: Database, secrets: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plane = ControlPlane(database, tmp_path / "recordings", secrets_dir=secrets)
    await keep(database, "default", "elevenlabs", "secret://spare")
    openai = {"provider": "openai", "model": "m"}
    await plane.ready(
        llm={**openai, "api_key": "secret://llm", "fallbacks": [{**openai, "api_key": "k"}]},
        tts={"provider": "elevenlabs", "voice": "v"},
        tools=[{**TOOL, "headers": {"X-Key": "secret://tool"}}],
        crm_prefetch={"url": "https://crm.example", "token": "Bearer secret://crm"},
        post_call_push={"url": "https://crm.example/push", "token": "Bearer secret://crm"},
        stream_token="secret://stream",
        post_call_analysis_prompt="What was it about?",
    )
    with pytest.raises(Denied):
        await plane.plan("k0", presented_token="secret://stream")
    with capture_logs() as logs:
        call = await plane.plan("k1", presented_token=VALUES["stream"])
        claimed = await plane.claim(call.call_id)
        assert claimed.config.llm.api_key == VALUES["llm"]
        assert claimed.config.tts.api_key == VALUES["spare"]
        assert VALUES["tool"] in claimed.model_dump_json()
        # What the sidecar does itself is none of the agent's business.
        assert not any(VALUES[name] in claimed.model_dump_json() for name in ("crm", "stream"))
        await plane.talk(call.call_id)
        now = plane.clock.advance(30)
        said = TranscriptLine(at=now, speaker="customer", text="Hello there.")
        used = ToolCalled(at=now, name="t", arguments={}, duration_ms=1.0, result="done")
        left = AgentEnded(at=now, reason=Reason.CALLER_HUNG_UP)
        await plane.report(call.call_id, Source.AGENT, 3, said, used, left)
        await plane.report(
            call.call_id, Source.BRIDGE, 2, LegEnded(at=now, reason=Reason.CALLER_HUNG_UP)
        )
        assert (await plane.row(call.call_id)).is_ended
        task = await plane.aftercall.claim("default", TaskClaim(worker_id="w1"))
        assert task is not None
        assert task.llm.api_key == VALUES["llm"]
        answer = TaskAnswer(worker_id="w1", attempt=1, result={"summary": "a visit"})
        await plane.aftercall.answer("default", task.task_id, answer)
        assert await plane.result(call.call_id)
    kept = await everything(database) + json.dumps(logs, default=str) + str(plane.rooms.dispatches)
    kept += "".join(capfd.readouterr())
    assert "secret://llm" in kept
    assert [name for name, value in VALUES.items() if value in kept] == []


async def everything(database: Database) -> str:
    """Return every row of every table."""
    async with database.read() as connection:
        tables = [await connection.execute(select(table)) for table in metadata.tables.values()]
        return json.dumps([[tuple(row) for row in rows] for rows in tables], default=str)
