"""What a push shows for itself, looked up at the moment it is sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.bot import BotConfig, PostCallPush
from contracts.ids import Channel
from contracts.plan import PlanRequest
from sidecar.configure import ConfigQuery
from sidecar.credential import Credentials, HeaderInvalid, headers_of
from sidecar.denial import Code, Denied
from sidecar.store import bots
from sidecar.store.deliveries import Delivery
from sidecar.store.tables import DEFAULT_TENANT
from tests.fakes.control_plane import ControlPlane, FakeClock
from tests.fakes.keyring import Unkeyed
from tests.fakes.outbox import delivery

PUSH: dict[str, Any] = {
    "url": "https://crm.example/calls",
    "token": "Bearer t0p",
    "headers": {"X-Tenant": "7"},
}
SHOWN = {"Authorization": "Bearer t0p", "X-Tenant": "7"}


def pushed(**changes: Any) -> Delivery:
    given = {"kind": "push", "url": "https://crm.example/calls/7", **changes}
    return delivery(FakeClock(), **given)


class ConfigSource:
    """An external config API with one bot, or an error."""

    is_per_call = True
    url = "https://config.example/config"
    results_url = ""

    def __init__(self, answer: BotConfig | Denied) -> None:
        self._answer = answer
        self.queries: list[ConfigQuery] = []

    async def fetch(self, query: ConfigQuery) -> BotConfig:
        self.queries.append(query)
        if isinstance(self._answer, Denied):
            raise self._answer
        return self._answer


async def fetched(plane: ControlPlane, **changes: Any) -> str:
    """Return a call in progress whose config came from somewhere else."""
    await plane.ready()
    return await plane.talking("k1", config_url=ConfigSource.url, **changes)


def at(source: ConfigSource) -> Callable[[str], ConfigSource]:
    """Reach a config API at its own address alone."""

    def found(url: str) -> ConfigSource:
        assert url == source.url
        return source

    return found


def unasked(url: str) -> ConfigSource:
    raise AssertionError(url)


def own(plane: ControlPlane) -> Credentials:
    return Credentials(plane.database, unasked, Unkeyed())


async def test_push_shows_its_bots_token_and_headers(plane: ControlPlane) -> None:
    await plane.add_bot(post_call_push=PUSH)
    assert await own(plane).headers(pushed()) == SHOWN
    assert await own(plane).headers(pushed(kind="webhook")) == {}
    assert await own(plane).headers(pushed(tenant_id="else")) == {}


async def test_token_that_was_replaced_meanwhile_is_the_one_shown(plane: ControlPlane) -> None:
    await plane.add_bot(post_call_push=PUSH)
    await plane.add_bot(post_call_push={**PUSH, "token": "Bearer new", "headers": {}})
    assert await own(plane).headers(pushed()) == {"Authorization": "Bearer new"}


@pytest.mark.parametrize("is_active", [True, False])
async def test_bot_that_is_switched_off_still_owes_its_results(
    plane: ControlPlane, is_active: bool
) -> None:
    await plane.add_bot(post_call_push=PUSH, is_active=is_active)
    assert await own(plane).headers(pushed()) == SHOWN


@pytest.mark.parametrize(
    "url", ["https://new-crm.example/calls", "http://crm.example/calls", "https://crm.example:8443"]
)
async def test_token_of_a_new_place_is_not_shown_to_the_old_one(
    plane: ControlPlane, url: str
) -> None:
    await plane.add_bot(post_call_push={**PUSH, "url": url})
    assert await own(plane).headers(pushed()) == {}


async def test_bot_without_a_push_or_gone_has_nothing_to_show(plane: ControlPlane) -> None:
    assert await own(plane).headers(pushed()) == {}
    await plane.add_bot()
    assert await own(plane).headers(pushed()) == {}


async def test_stored_nonsense_is_told_without_showing_it(plane: ControlPlane) -> None:
    async with plane.database.transaction() as connection:
        config = {"post_call_push": {"token": ["t0p"]}}
        await bots.save(connection, "default", "desk", config, plane.clock())
    with pytest.raises(HeaderInvalid) as caught:
        await own(plane).headers(pushed())
    assert "t0p" not in str(caught.value)


@pytest.mark.parametrize(
    "push",
    [
        {"token": "Bearer a\r\nX-Other: b"},
        {"token": "Bearer é"},
        {"headers": {"X Key": "a"}},
        {"headers": {"": "a"}},
        {"headers": {"X-Key": "a\x00"}},
    ],
)
def test_header_that_cannot_be_sent_is_named_without_its_value(push: dict[str, Any]) -> None:
    with pytest.raises(HeaderInvalid) as caught:
        headers_of(PostCallPush.model_validate(push))
    assert "Bearer" not in str(caught.value)


def test_token_is_the_one_authorization() -> None:
    push = PostCallPush(token="Bearer t0p", headers={"authorization": "Basic b2xk"})
    assert headers_of(push) == {"Authorization": "Bearer t0p"}


async def test_bot_of_another_api_is_asked_for_again_as_for_the_call(plane: ControlPlane) -> None:
    call_id = await fetched(plane, caller_id="+15550100", connected_event={"n": 1})
    source = ConfigSource(BotConfig(post_call_push=PostCallPush.model_validate(PUSH)))
    credentials = Credentials(plane.database, at(source), Unkeyed())
    assert await credentials.headers(pushed(call_id=call_id)) == SHOWN
    (query,) = source.queries
    assert (query.bot_id, query.caller_id, query.connected_event) == (
        "desk",
        "+15550100",
        {"n": 1},
    )


async def test_api_that_knows_the_bot_no_more_has_nothing_to_show(plane: ControlPlane) -> None:
    call_id = await fetched(plane)
    unknown = Credentials(
        plane.database,
        at(ConfigSource(Denied(Code.BOT_UNKNOWN, "gone"))),
        Unkeyed(),
    )
    assert await unknown.headers(pushed(call_id=call_id)) == {}
    erased = Credentials(plane.database, at(ConfigSource(BotConfig())), Unkeyed())
    assert await erased.headers(pushed(call_id="erased")) == {}


async def test_api_that_does_not_answer_keeps_the_push_waiting(plane: ControlPlane) -> None:
    call_id = await fetched(plane)
    silent = Credentials(
        plane.database,
        at(ConfigSource(Denied(Code.CONFIG_UNAVAILABLE, "no"))),
        Unkeyed(),
    )
    with pytest.raises(Denied):
        await silent.headers(pushed(call_id=call_id))


async def test_call_remembers_whose_config_it_runs_on(plane: ControlPlane) -> None:
    await plane.ready()
    source = ConfigSource(BotConfig(stream_anonymous=True))
    request = PlanRequest(
        channel=Channel.WEBSOCKET, bot_id="elsewhere", idempotency_key="k", caller_id="+15550100"
    )
    theirs = await plane.planner.plan(DEFAULT_TENANT, request, configs=source)
    ours = await plane.plan("k2")
    urls = [(await plane.row(plan.call_id)).config_url for plan in (theirs, ours)]
    assert urls == [ConfigSource.url, ""]


async def test_token_that_is_only_named_is_looked_up(plane: ControlPlane, tmp_path: Path) -> None:
    (tmp_path / "crm").write_text("t0p")
    named = {"url": PUSH["url"], "token": "Bearer secret://crm", "headers": {"X-Id": "secret://x"}}
    await plane.add_bot(post_call_push=named)
    credentials = Credentials(plane.database, unasked, Unkeyed(tmp_path))
    with pytest.raises(HeaderInvalid, match="secret://x"):
        await credentials.headers(pushed())
    (tmp_path / "x").write_text("7")
    assert await credentials.headers(pushed()) == {"Authorization": "Bearer t0p", "X-Id": "7"}


async def test_push_from_a_place_nobody_trusts_may_name_no_secret(
    plane: ControlPlane, tmp_path: Path
) -> None:
    (tmp_path / "crm").write_text("t0p")
    named = PostCallPush.model_validate({**PUSH, "token": "Bearer secret://crm"})
    source = ConfigSource(BotConfig(post_call_push=named))
    call_id = await fetched(plane)
    for trusted in ((), (source.url,)):
        keyring = Unkeyed(tmp_path, trusted=trusted)
        credentials = Credentials(plane.database, at(source), keyring)
        if trusted:
            assert (await credentials.headers(pushed(call_id=call_id)))["X-Tenant"] == "7"
        else:
            with pytest.raises(HeaderInvalid, match="from elsewhere"):
                await credentials.headers(pushed(call_id=call_id))
