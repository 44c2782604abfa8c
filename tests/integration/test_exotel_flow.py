"""A whole flow of Exotel's: where to, a talk, how it went, whom to connect to; and the cap."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
import pytest_asyncio

from bridges.exotel_softphone import ExotelSoftphone
from tests.integration.bots import TALKER
from tests.integration.platform import Platform

pytestmark = pytest.mark.asyncio(loop_scope="session")

TOKEN = "hunter2-of-the-desk"
DESK: dict[str, Any] = {
    **TALKER,
    "stream_anonymous": None,
    "stream_token": TOKEN,
    "transfer_targets": [
        {
            "id": "desk",
            "label": "Front desk",
            "method": "exotel_passthru",
            "value": "+1 415 555 0123",
            "is_default": True,
        }
    ],
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def platform(fleet: Platform) -> Platform:
    """A running fleet with a desk that only Exotel reaches."""
    await fleet.save_bot("desk", DESK)
    return fleet


async def ask(platform: Platform, what: str, **params: str) -> httpx.Response:
    """Ask the sidecar as an applet does, whose URL has the bot's token."""
    async with httpx.AsyncClient(base_url=platform.fleet.sidecar_url, trust_env=False) as http:
        return await http.get(f"/exotel/desk/{what}", params={"token": TOKEN, **params})


async def stream_url(platform: Platform) -> str:
    """Return where a call's stream goes, at the bridge's own port: no proxy is before it here."""
    answer = await ask(platform, "url", **{"CallSid": "c1", "call.campaign": "spring"})
    assert answer.status_code == 200, answer.text
    assert TOKEN not in answer.text
    parts = urlsplit(answer.json()["url"])
    return f"{platform.fleet.bridge_url}{parts.path}?{parts.query}"


def told(stream_id: str, ended_by: str) -> dict[str, str]:
    return {
        "CallSid": f"call-{stream_id}",
        "Stream[StreamSID]": stream_id,
        "Stream[Status]": "completed",
        "Stream[Duration]": "12",
        "Stream[RecordingUrl]": f"https://recordings.example/{stream_id}.mp3",
        "Stream[DisconnectedBy]": ended_by,
    }


async def test_caller_is_handed_from_the_flow_to_the_bot_and_on_to_a_human(
    platform: Platform,
) -> None:
    wish = platform.voice("Let me talk to a manager.")
    url = await stream_url(platform)
    given = dict(parse_qsl(urlsplit(url).query))
    async with ExotelSoftphone.call(url, stream_id="handed-on", fields=given) as phone:
        await phone.hear()
        await phone.say(wish)
        assert await phone.wait_closed() == 1000
    # At once, as Exotel does: the agent's word of it may still be on its way.
    for _ in range(2):
        answer = await ask(platform, "passthru", **told("handed-on", "bot"))
        assert (answer.status_code, answer.content) == (302, b"")
    connected = await ask(platform, "transfer", CallSid="call-handed-on")
    assert connected.json() == {
        "fetch_after_attempt": False,
        "destination": {"numbers": ["+14155550123"]},
    }
    result = await platform.result("handed-on")
    assert result["was_transferred"] is True
    assert (result["transfer_method"], result["transfer_target"]) == (
        "exotel_passthru",
        "Front desk",
    )
    assert result["disconnected_by"] == "bot"
    assert result["connected_event"]["campaign"] == "spring"
    assert "token" not in result["connected_event"]
    row = await platform.call("handed-on")
    call = (await platform.api.get(f"/api/v1/calls/{row['call_id']}")).json()
    assert (call["cdr_talktime"], call["cdr_call_status"]) == (12, "completed")
    assert call["cdr_recording_url"] == "https://recordings.example/handed-on.mp3"


async def test_caller_who_hung_up_is_connected_to_nobody(platform: Platform) -> None:
    async with ExotelSoftphone.call(await stream_url(platform), stream_id="hung-up") as phone:
        await phone.hear()
    answer = await ask(platform, "passthru", **told("hung-up", "user"))
    assert answer.status_code == 200
    assert (await ask(platform, "transfer", CallSid="call-hung-up")).status_code == 404
    result = await platform.result("hung-up")
    assert (result["disconnected_by"], result["was_transferred"]) == ("customer", False)


async def test_stream_without_a_ticket_is_turned_away(platform: Platform) -> None:
    url = f"{platform.fleet.bridge_url}/exotel/desk?token=guess"
    async with ExotelSoftphone.call(url, stream_id="guessed") as phone:
        assert await phone.wait_closed() == 4401
        assert phone.first_audio_s is None
