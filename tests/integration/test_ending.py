"""Every way a call on this door can end, provoked by a real call.

Refusals that leave nothing behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from livekit import api as livekit_api
from websockets.exceptions import InvalidStatus

from bench.sentences import SENTENCES
from bench.wer import bot, caller_in, listener, say_all, voice
from bridges.phone import Phone
from contracts.outcome import Reason
from contracts.plan import Claim
from contracts.report import AgentEnded, Noticed, Report, Source
from contracts.wav import HEADER_BYTES
from sidecar.client import Refused, SidecarClient
from tests.fakes.greetings import RATE_HZ, sound
from tests.integration.bots import BROKEN, CLOSED, HURRIED, SILENT_TREATMENT, TALKER
from tests.integration.listening import hears, sounding, words_in
from tests.integration.platform import Platform, running_platform

pytestmark = pytest.mark.asyncio(loop_scope="module")

CAPACITY = 2
BOTS = {
    "talker": TALKER,
    "screener": {**TALKER, "machine_detection": {"enabled": True}},
    "silent": SILENT_TREATMENT,
    "hurried": HURRIED,
    "closed": CLOSED,
    "locked": {**TALKER, "stream_anonymous": False, "stream_token": "open-sesame"},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A running fleet of two slots."""
    async with running_platform(
        tmp_path_factory.mktemp("fleet"), MAX_CONCURRENT_CALLS=str(CAPACITY)
    ) as running:
        for bot_id, config in BOTS.items():
            await running.save_bot(bot_id, config)
        yield running


async def rooms(platform: Platform) -> list[str]:
    async with livekit_api.LiveKitAPI(
        platform.fleet.livekit_url,
        platform.fleet.environ["LIVEKIT_API_KEY"],
        platform.fleet.environ["LIVEKIT_API_SECRET"],
    ) as livekit:
        listed = await livekit.room.list_rooms(livekit_api.ListRoomsRequest())
    return [room.name for room in listed.rooms]


async def eventually(happened: Callable[[], bool], timeout_s: float = 15.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not happened():  # noqa: ASYNC110 - the phone tells nobody when it is transferred
            await asyncio.sleep(0.02)


async def until_free(platform: Platform, calls: int = CAPACITY) -> None:
    """Wait until `calls` slots are free again."""
    async with asyncio.timeout(15):
        while True:
            fleet = (await platform.api.get("/health/fleet")).json()
            if fleet["fleet_available"] == calls:
                return
            await asyncio.sleep(0.1)


def said(result: dict[str, Any], speaker: str) -> str:
    lines = [line["text"] for line in result["transcript"] if line["speaker"] == speaker]
    return " ".join(lines)


async def test_bot_that_says_goodbye_is_heard_before_the_line_drops(platform: Platform) -> None:
    goodbye = platform.voice("That is all, thank you. Goodbye.")
    async with Phone.call(platform.stream_url("talker"), stream_id="ends-bot") as phone:
        await phone.hear()
        await phone.say(goodbye)
        assert await phone.wait_closed() == 1000
        # Heard to its end, however the recogniser spells it.
        assert hears("thank you for calling goodbye", await words_in(phone.heard()), likeness=0.7)
    assert (await platform.result("ends-bot"))["disconnected_by"] == "bot"


async def test_caller_that_hangs_up_ends_it_as_customer(platform: Platform) -> None:
    async with Phone.call(platform.stream_url("talker"), stream_id="ends-customer") as phone:
        await phone.wait_for_audio()
    assert (await platform.result("ends-customer"))["disconnected_by"] == "customer"


async def place(platform: Platform, stream_id: str, heard: bytes, *, stays: bool = False) -> Phone:
    """Place a call to somebody who says what is given, and hold it to its end."""
    url = platform.stream_url("screener")
    async with Phone.call(url, stream_id=stream_id, direction="outgoing", ring_s=2.0) as phone:
        await phone.say(heard)
        if stays:
            await phone.hear()
        else:
            assert await phone.wait_closed(30) == 1000
    return phone


def noticed(result: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [event for event in result["events"] if event["event"] == name]


async def test_mailbox_gets_its_message_after_the_beep_and_the_call_ends_as_voicemail(
    platform: Platform,
) -> None:
    greeting, beep_at_s = sound(
        "{0.5}Hi, this is Sarah. {0.4} Please leave a message after the tone. {0.8}{1000Hz 0.5}",
        0.1,
    )
    phone = await place(platform, "ends-voicemail", greeting)
    first, *_ = phone.bot_audio_segments()
    assert 0 < first.start_s - beep_at_s < 1.5
    result = await platform.result("ends-voicemail")
    assert (result["disconnected_by"], result["call_direction"]) == ("voicemail", "outgoing")
    assert said(result, "bot") == "Please call us back. Thank you."
    [machine] = noticed(result, "machine_detected")
    assert (machine["class"], machine["reason"]) == ("voicemail", "phrase")
    assert [event["after"] for event in noticed(result, "voicemail_left")] == ["beep"]
    # Whoever listens to the mailbox hears all of it, as the recording does.
    recording = await platform.recording(f"/recordings/{result['recording_key']}")
    both = np.frombuffer(recording.content[HEADER_BYTES:], "<i2").reshape(-1, 2)
    left = both[round(beep_at_s * RATE_HZ) :, 1].tobytes()
    assert "please call us back thank you" in await words_in(left)
    assert not both[: round(beep_at_s * RATE_HZ), 1].any()


async def test_person_is_opened_to_at_once_and_an_announcement_is_hung_up_on(
    platform: Platform,
) -> None:
    hello, hello_s = sound("{0.5}Hello?", 0.0)
    announcement, _ = sound("{0.5}The number you are calling is switched off.", 0.0)
    person, _ = await asyncio.gather(
        place(platform, "takes-person", hello, stays=True),
        place(platform, "takes-nobody", announcement),
    )
    first, *_ = person.bot_audio_segments()
    assert 0.4 < first.start_s - hello_s < 1.0
    result = await platform.result("takes-person")
    assert said(result, "customer").startswith("Hello")
    assert said(result, "bot").startswith("Hello, you have reached the information line.")
    assert [event["reason"] for event in noticed(result, "human_detected")] == ["greeting"]
    result = await platform.result("takes-nobody")
    assert result["disconnected_by"] == "voicemail"
    assert said(result, "bot") == ""
    assert [event["class"] for event in noticed(result, "machine_detected")] == ["unavailable"]


async def test_agent_hears_sample_by_sample_what_the_phone_was_told(platform: Platform) -> None:
    """So a recogniser has the same to go by; `python -m bench.wer` compares the words."""
    said = SENTENCES[::16]
    async with listener() as brain:
        await platform.save_bot("listener", bot(brain.openai))
        await say_all(platform.stream_url("listener"), "recognised", said)
        result = await platform.result("recognised")
    recording = await platform.recording(f"/recordings/{result['recording_key']}")
    caller = sounding(caller_in(recording.content))
    assert [each for each in said if sounding(voice(each)) not in caller] == []


async def test_caller_who_never_speaks_is_asked_and_ends_as_rnr(platform: Platform) -> None:
    async with Phone.call(platform.stream_url("silent"), stream_id="ends-rnr") as phone:
        assert await phone.wait_closed(30) == 1000
    result = await platform.result("ends-rnr")
    assert result["disconnected_by"] == "RNR"
    assert "Are you there?" in said(result, "bot")
    assert said(result, "customer") == ""


async def test_silence_after_a_conversation_ends_as_bot(platform: Platform) -> None:
    question = platform.voice("When are you open?")
    async with Phone.call(platform.stream_url("silent"), stream_id="dead-air") as phone:
        await phone.hear()
        await phone.say(question)
        assert await phone.wait_closed(40) == 1000
    result = await platform.result("dead-air")
    assert result["disconnected_by"] == "bot"
    assert "I will hang up now" in said(result, "bot")


async def test_call_beyond_its_longest_duration_ends_as_timeout(platform: Platform) -> None:
    async with Phone.call(platform.stream_url("hurried"), stream_id="ends-timeout") as phone:
        assert await phone.wait_closed(20) == 1000
    result = await platform.result("ends-timeout")
    assert result["disconnected_by"] == "timeout"
    assert result["call_duration_seconds"] == pytest.approx(4.0, abs=2.0)


async def test_call_outside_active_hours_is_refused_with_a_result(platform: Platform) -> None:
    async with Phone.call(platform.stream_url("closed"), stream_id="ends-closed") as phone:
        assert await phone.wait_closed() == 4403
    result = await platform.result("ends-closed")
    assert (result["disconnected_by"], result["call_duration_seconds"]) == ("outside_hours", 0)


async def test_bot_no_worker_can_serve_ends_as_error(platform: Platform) -> None:
    await platform.save_bot("broken", BROKEN)
    async with Phone.call(platform.stream_url("broken"), stream_id="ends-error") as phone:
        await phone.wait_closed()
    assert (await platform.result("ends-error"))["disconnected_by"] == "error"


async def test_unknown_bot_and_wrong_token_are_refused(platform: Platform) -> None:
    async with Phone.call(platform.stream_url("nobody"), stream_id="unknown") as phone:
        assert await phone.wait_closed() == 4404
    async with Phone.call(platform.stream_url("locked"), stream_id="no-token") as phone:
        assert await phone.wait_closed() == 4401
    async with Phone.call(
        platform.stream_url("locked"), stream_id="token", token="open-sesame"
    ) as phone:
        await phone.wait_for_audio()
    assert (await platform.result("token"))["disconnected_by"] == "customer"


async def test_transfer_is_announced_heard_and_sent_to_the_dialler(platform: Platform) -> None:
    request = platform.voice("Let me talk to a manager.")
    async with Phone.call(platform.stream_url("talker"), stream_id="transferred") as phone:
        await phone.hear()
        await phone.say(request)
        await eventually(lambda: phone.transfer is not None)
        assert phone.transfer is not None
        assert phone.transfer.to == "+14155550123"
        assert hears("putting you through", await words_in(phone.heard()))
        await phone.hang_up()
    result = await platform.result("transferred")
    assert result["disconnected_by"] == "bot"
    assert result["was_transferred"] is True
    assert result["transfer_destination"] == "+14155550123"
    assert result["transfer_target"] == "Front desk"
    assert result["transfer_reason"] == "The caller asked for a human"
    assert result["transfer_method"] == "websocket_reverse_transfer"
    assert 0 < result["transfer_at"] < result["call_duration_seconds"]
    assert result["transfer_failed_reason"] is None


async def test_call_above_capacity_is_refused_at_once_and_leaves_nothing(
    platform: Platform,
) -> None:
    await until_free(platform)
    url = platform.stream_url("talker")
    async with (
        Phone.call(url, stream_id="holds-1") as first,
        Phone.call(url, stream_id="holds-2") as second,
    ):
        await asyncio.gather(first.wait_for_audio(), second.wait_for_audio())
        before = await rooms(platform)
        async with Phone.call(url, stream_id="too-many") as third:
            code = await third.wait_closed(3.0)
        assert code == 4429
        assert set(await rooms(platform)) <= set(before)
        assert first.is_open
        assert second.is_open
    await until_free(platform)
    async with asyncio.timeout(10):
        while await rooms(platform):  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.1)


async def test_bridge_that_is_full_refuses_before_the_upgrade(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("small")
    async with running_platform(folder, BRIDGE_MAX_CALLS="1", AGENT_IDLE_PROCESSES="1") as small:
        await small.save_bot("talker", TALKER)
        async with Phone.call(small.stream_url("talker"), stream_id="only") as phone:
            await phone.wait_for_audio()
            fleet = (await small.api.get(small.bridge("/health/fleet"))).json()
            with pytest.raises(InvalidStatus) as refused:
                async with Phone.call(small.stream_url("talker"), stream_id="second"):
                    pass
            assert refused.value.response.status_code == 503
            assert int(refused.value.response.headers["Retry-After"]) > 0
            assert phone.is_open
        assert fleet["status"] == "ok"


async def test_stale_agent_can_neither_claim_nor_report(platform: Platform) -> None:
    await until_free(platform)
    async with (
        SidecarClient(platform.fleet.sidecar_url, platform.fleet.environ["VOXCORE_SECRET"]) as old,
        Phone.call(platform.stream_url("talker"), stream_id="fenced") as phone,
    ):
        await phone.wait_for_audio()
        call_id = (await platform.call("fenced"))["call_id"]
        for incarnation, code in ((1, "already_claimed"), (2, "stale_incarnation")):
            with pytest.raises(Refused) as refused:
                await old.claim(call_id, Claim(incarnation=incarnation, worker_id="ghost"))
            assert (refused.value.status, refused.value.code) == (409, code)
        ghost = AgentEnded(at=datetime.now(UTC), reason=Reason.PIPELINE_FAILED)
        with pytest.raises(Refused) as refused:
            await old.report(
                call_id, Report(source=Source.AGENT, incarnation=2, seq=1, facts=[ghost])
            )
        assert refused.value.code == "stale_incarnation"
        late = Noticed(at=datetime.now(UTC), name="ghost")
        with pytest.raises(Refused) as refused:
            await old.report(
                call_id, Report(source=Source.AGENT, incarnation=1, seq=400, facts=[late])
            )
        assert refused.value.code == "gap"
        assert phone.is_open
    assert (await platform.result("fenced"))["disconnected_by"] == "customer"
