"""A call whose bot comes from somebody else's config API, with a CRM that is asked and told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from bridges.phone import Phone
from tests.fakes.crm import running_crm
from tests.integration.bots import TALKER
from tests.integration.listening import hears, words_in
from tests.integration.platform import running_platform
from voicefleet.receiver import receiving

SECRET = "shared-with-the-config-api"
CRM_TOKEN = "Bearer of-the-crm"
RESULT_SECRET = "whsec_dGhlIHJlc3VsdHMgYXJlIHNpZ25lZCB3aXRoIHRoaXM="


@asynccontextmanager
async def config_api(bots: dict[str, Any], asked: list[dict[str, str]]) -> AsyncIterator[str]:
    """Serve `bots` by `GET /config/{bot_id}`; a bot that is a number is that status."""

    async def config(request: web.Request) -> web.Response:
        asked.append(dict(request.query))
        if request.headers.get("X-VoxCore-Secret") != SECRET:
            return web.Response(status=403)
        bot = bots.get(request.match_info["bot_id"], 404)
        return web.Response(status=bot) if isinstance(bot, int) else web.json_response(bot)

    app = web.Application()
    app.router.add_get("/config/{bot_id}", config)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/config"
    finally:
        await runner.cleanup()


async def test_call_runs_on_a_config_from_outside(tmp_path: Path) -> None:
    asked: list[dict[str, str]] = []
    bots: dict[str, Any] = {"closed": 503, "broken": 500}
    async with (
        receiving(RESULT_SECRET) as (receiver, webhook_url),
        running_crm(answer={"data": {"city": "London"}}) as crm,
        config_api(bots, asked) as config_url,
        running_platform(
            tmp_path,
            AGENT_IDLE_PROCESSES="1",
            CONFIG_URL=config_url,
            VOXCORE_SECRET=SECRET,
            RESULT_SIGNING_SECRET=RESULT_SECRET,
            STREAM_ANONYMOUS="true",
        ) as platform,
    ):
        bots["theirs"] = {
            **TALKER,
            "session_id": "session-of-theirs",
            "webhook_url": webhook_url,
            "opening_message": "Hello {{call.customer_name}}, welcome back to {{crm.city}}.",
            "crm_prefetch": {
                "url": f"{crm.url}/customers?phone={{{{call.caller_id}}}}",
                "response_path": "data",
            },
            "post_call_push": {
                "url": f"{crm.url}/push",
                "token": CRM_TOKEN,
                "key_mapper": {"CITY": "{{crm.city}}", "BY": "{{result.disconnected_by}}"},
            },
            "a_key_from_the_future": True,
        }
        async with Phone.call(
            platform.stream_url("theirs"),
            stream_id="outside",
            caller_id="+10000000042",
            fields={"customer_name": "Morgan"},
        ) as phone:
            await phone.hear()
            assert hears("welcome back", await words_in(phone.heard()))
        result = await receiver.result()
        told = await crm.told("/push")
        for bot_id, code in (("closed", 4403), ("broken", 4503), ("nobody", 4404)):
            async with Phone.call(platform.stream_url(bot_id), stream_id=bot_id) as phone:
                assert await phone.wait_closed() == code
    assert result["session_id"] == "session-of-theirs"
    assert result["transcript"][0]["text"] == "Hello Morgan, welcome back to London."
    assert "crm_prefetched" in [event["event"] for event in result["events"]]
    assert crm.asked[0].query == {"phone": "+10000000042"}
    assert told.headers["Authorization"] == CRM_TOKEN
    assert json.loads(told.body) == {"CITY": "London", "BY": "customer"}
    assert asked[0]["caller_id"] == "+10000000042"
    assert json.loads(asked[0]["connected_event"])["customer_name"] == "Morgan"
