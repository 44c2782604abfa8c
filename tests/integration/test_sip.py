"""Real phones on the SIP bridge: what is heard both ways, and what every ending is told as."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from tests.fakes.baresip import RATE_HZ, Baresip, baresip
from tests.fakes.ports import free_port
from tests.integration.bots import TALKER
from tests.integration.listening import hears, words_in
from tests.integration.platform import Platform, running_platform

pytestmark = pytest.mark.asyncio(loop_scope="module")

CERTIFICATE = Path(__file__).parents[1] / "vectors" / "tls" / "localhost.pem"
DESK = "+914422220000"
KEYPAD: dict[str, Any] = {
    **TALKER,
    "opening_message": "Press one for opening hours.",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A running fleet with a SIP bridge, and a bot with a number."""
    async with running_platform(
        tmp_path_factory.mktemp("fleet"),
        sip=True,
        SIP_MEDIA_PROCESSES="1",
        SIP_NO_MEDIA_S="3",
        SIP_TLS_PORT=str(free_port()),
        SIP_TLS_CERT=str(CERTIFICATE),
    ) as running:
        await running.save_bot("talker", TALKER)
        await running.save_bot("keypad", KEYPAD)
        await save_operator(running, "sip:nobody@127.0.0.1:9")
        for number, bot_id in ((DESK, "talker"), ("keypad", "keypad"), ("operator", "operator")):
            body = {"number": number, "bot_id": bot_id}
            answer = await running.api.post("/api/v1/numbers", json=body)
            assert answer.is_success, answer.text
        yield running


def desk(platform: Platform, number: str = DESK) -> str:
    return f"sip:{number}@127.0.0.1:{platform.fleet.sip_port}"


async def established(phone: Baresip) -> str:
    """Wait until the phone's call is answered; return its Call-ID."""
    return str((await phone.saw("CALL_ESTABLISHED"))["id"])


async def says(phone: Baresip, phrase: str, timeout_s: float = 15.0) -> None:
    """Wait until the bot was heard to say something on the phone."""
    words = ""
    try:
        async with asyncio.timeout(timeout_s):
            while not hears(phrase, words := await words_in(phone.heard())):  # noqa: ASYNC110
                await asyncio.sleep(0.3)
    except TimeoutError:
        raise AssertionError(f"{phrase!r} was not heard, but: {words!r}") from None


async def has_said(platform: Platform, stream_id: str, phrase: str, timeout_s: float = 25) -> None:
    """Wait until the bot's transcript has a line with a phrase."""
    call_id = (await platform.call(stream_id))["call_id"]
    async with asyncio.timeout(timeout_s):
        while True:
            found = (await platform.api.get(f"/api/v1/calls/{call_id}/events")).json()["events"]
            if any(phrase in event["data"].get("text", "") for event in found):
                return
            await asyncio.sleep(0.2)


def quiet(seconds: float) -> bytes:
    return bytes(2 * round(seconds * RATE_HZ))


def spoken_by(result: dict[str, Any], speaker: str) -> str:
    return " ".join(line["text"] for line in result["transcript"] if line["speaker"] == speaker)


async def test_caller_talks_to_the_bot_of_the_dialled_number(
    platform: Platform, tmp_path: Path
) -> None:
    question = platform.voice("When are you open?")
    async with baresip(tmp_path, user="9840012345", says=quiet(5) + question) as phone:
        await phone.dial(desk(platform))
        call_id = await established(phone)
        await says(phone, "information line")
        await says(phone, "monday to friday")
        await phone.hang_up()
    result = await platform.result(call_id)
    assert result["disconnected_by"] == "customer"
    assert result["call_direction"] == "incoming"
    assert "9840012345" in result["caller_id"]
    assert hears("when are you open", spoken_by(result, "customer").lower())


async def test_bot_that_hangs_up_says_bye(platform: Platform, tmp_path: Path) -> None:
    farewell = platform.voice("That is all, thank you. Goodbye.")
    async with baresip(tmp_path, says=quiet(5) + farewell) as phone:
        await phone.dial(desk(platform))
        call_id = await established(phone)
        await phone.saw("CALL_CLOSED", timeout_s=25)
        # What was heard last may still be on its way into the file.
        await says(phone, "thank you for calling")
    assert (await platform.result(call_id))["disconnected_by"] == "bot"


async def test_unknown_number_is_not_found(platform: Platform, tmp_path: Path) -> None:
    async with baresip(tmp_path) as phone:
        await phone.dial(desk(platform, "nobody"))
        closed = await phone.saw("CALL_CLOSED")
    assert "404" in closed["param"]


async def test_call_on_hold_is_left_in_peace(platform: Platform, tmp_path: Path) -> None:
    async with baresip(tmp_path, says=quiet(12) + platform.voice("When are you open?")) as phone:
        await phone.dial(desk(platform))
        call_id = await established(phone)
        await says(phone, "information line")
        await phone.hold()
        await asyncio.sleep(4)  # longer than a call may go without audio
        await phone.resume()
        # This phone writes down nothing it hears after a hold: the bot's own account must do.
        await has_said(platform, call_id, "from Monday to Friday")
        await phone.hang_up()
    result = await platform.result(call_id)
    names = [event["event"] for event in result["events"]]
    assert names.count("call_hold") == names.count("call_resume") == 1
    assert result["disconnected_by"] == "customer"


async def test_keys_pressed_are_told(platform: Platform, tmp_path: Path) -> None:
    async with baresip(tmp_path) as phone:
        await phone.dial(desk(platform, "keypad"))
        call_id = await established(phone)
        await says(phone, "opening hours")
        await phone.press("1#")
        await asyncio.sleep(0.5)
        await phone.hang_up()
    result = await platform.result(call_id)
    pressed = [e["digit"] for e in result["events"] if e["event"] == "dtmf"]
    assert pressed == ["1", "#"]


async def trunk_to(platform: Platform, phone: Baresip) -> str:
    """Make a trunk that ends at a phone; return the number it calls from."""
    number = f"+9144222{phone.port:05}"
    body = {
        "name": f"Phone at {phone.port}",
        "kind": "bridge",
        "address": f"127.0.0.1:{phone.port}",
        "transport": "udp",
        "numbers": [number],
        "number_format": "plain",
        "cps": 10,
    }
    answer = await platform.api.post("/api/v1/trunks", json=body)
    assert answer.is_success, answer.text
    return number


async def dial_out(platform: Platform, phone: Baresip, **more: Any) -> str:
    """Have a bot call a phone; return the call's id."""
    number = await trunk_to(platform, phone)
    body = {"bot_id": "talker", "to_number": f"+{phone.user}", "from_number": number, **more}
    answer = await platform.api.post("/api/v1/sip/dialout", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "ok"
    return str(answer.json()["call_id"])


async def ended(platform: Platform, call_id: str, timeout_s: float = 20.0) -> dict[str, Any]:
    """Wait until a call has ended; return it as the API shows it."""
    async with asyncio.timeout(timeout_s):
        while True:
            call: dict[str, Any] = (await platform.api.get(f"/api/v1/calls/{call_id}")).json()
            if call["state"] == "ended":
                return call
            await asyncio.sleep(0.1)


CALLEE = "919840054321"


async def test_called_phone_hears_the_bot_once_it_is_answered(
    platform: Platform, tmp_path: Path
) -> None:
    answering = ";answermode=auto"
    says_what = quiet(5) + platform.voice("When are you open?")
    async with baresip(tmp_path, user=CALLEE, account=answering, says=says_what) as phone:
        call_id = await dial_out(platform, phone, variables={"customer_name": "Asha"})
        await says(phone, "information line", timeout_s=20)
        await says(phone, "monday to friday", timeout_s=20)
        await phone.hang_up()
        call = await ended(platform, call_id)
    assert (call["reason"], call["call_direction"]) == ("caller_hung_up", "outgoing")
    result = (await platform.api.get(f"/api/v1/calls/{call_id}/result")).json()
    assert result["connected_event"]["customer_name"] == "Asha"
    assert hears("when are you open", spoken_by(result, "customer").lower())


async def test_called_phone_that_declines_is_told_as_rejected(
    platform: Platform, tmp_path: Path
) -> None:
    async with baresip(tmp_path, user=CALLEE) as phone:
        call_id = await dial_out(platform, phone)
        await phone.saw("CALL_INCOMING", timeout_s=20)
        await phone.hang_up()
        call = await ended(platform, call_id)
    assert call["disconnected_by"] == "rejected"


async def save_operator(platform: Platform, target: str) -> None:
    """Store the bot that hands over to a SIP address."""
    await platform.save_bot(
        "operator",
        {
            **TALKER,
            "transfer_targets": [
                {
                    "id": "desk",
                    "label": "Front desk",
                    "method": "livekit_sip_refer",
                    "type": "sip_uri",
                    "value": target,
                    "is_default": True,
                }
            ],
        },
    )


async def test_caller_is_handed_over_to_another_phone(platform: Platform, tmp_path: Path) -> None:
    wish = quiet(5) + platform.voice("Let me talk to a manager.")
    async with (
        baresip(tmp_path / "desk", user="desk", account=";answermode=auto") as other,
        baresip(tmp_path / "caller", says=wish) as phone,
    ):
        await save_operator(platform, other.uri)
        await phone.dial(desk(platform, "operator"))
        stream_id = await established(phone)
        await other.saw("CALL_ESTABLISHED", timeout_s=25)
        result = await platform.result(stream_id)
        assert hears("putting you through", await words_in(phone.heard(0)))
        await other.hang_up()
    assert (result["disconnected_by"], result["was_transferred"]) == ("bot", True)
    assert result["transfer_destination"] == other.uri
    assert (result["transfer_target"], result["transfer_method"]) == (
        "Front desk",
        "livekit_sip_refer",
    )
    assert result["transfer_failed_reason"] is None


async def test_bot_comes_back_where_nobody_takes_the_caller_over(
    platform: Platform, tmp_path: Path
) -> None:
    wish = quiet(5) + platform.voice("Let me talk to a manager.")
    async with (
        baresip(tmp_path / "desk", user="desk") as other,
        baresip(tmp_path / "caller", says=wish) as phone,
    ):
        await save_operator(platform, other.uri)
        await phone.dial(desk(platform, "operator"))
        stream_id = await established(phone)
        await other.saw("CALL_INCOMING", timeout_s=25)
        await other.hang_up()
        await has_said(platform, stream_id, "could not put you through")
        await phone.hang_up()
    result = await platform.result(stream_id)
    assert (result["disconnected_by"], result["was_transferred"]) == ("customer", False)
    assert result["transfer_failed_reason"]


async def test_encrypted_call_over_tls(platform: Platform, tmp_path: Path) -> None:
    async with baresip(
        tmp_path, account=";mediaenc=srtp-mand", transport="tls", ca=CERTIFICATE
    ) as phone:
        tls_port = platform.fleet.environ["SIP_TLS_PORT"]
        uri = f"sip:{DESK}@127.0.0.1:{tls_port};transport=tls"
        await phone.dial(uri)
        stream_id = await established(phone)
        await says(phone, "information line")
        await phone.hang_up()
    result = await platform.result(stream_id)
    call = await ended(platform, (await platform.call(stream_id))["call_id"])
    assert call["reason"] == "caller_hung_up"
    assert result["disconnected_by"] == "customer"


async def test_media_process_that_is_killed_ends_its_calls_with_bye(
    platform: Platform, tmp_path: Path
) -> None:
    async with baresip(tmp_path) as phone:
        await phone.dial(desk(platform))
        stream_id = await established(phone)
        await says(phone, "information line")
        (media,) = [each for each in platform.processes("bridges.sip") if is_media(each)]
        media.kill()
        await phone.saw("CALL_CLOSED", timeout_s=5)
    result = await platform.result(stream_id)
    assert result["disconnected_by"] == "error"


async def test_signalling_that_was_killed_hangs_up_once_it_is_back(
    platform: Platform, tmp_path: Path
) -> None:
    async with baresip(tmp_path) as phone:
        await phone.dial(desk(platform))
        stream_id = await established(phone)
        await says(phone, "information line")
        platform.processes("bridges.sip")[0].kill()
        result = await platform.result(stream_id)
        assert result["disconnected_by"] == "error"
        await platform.start_again("sip")
        await phone.saw("CALL_CLOSED", timeout_s=10)


def is_media(process: psutil.Process) -> bool:
    return "bridges.sip.media" in process.cmdline()
