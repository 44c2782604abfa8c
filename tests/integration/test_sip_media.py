"""The SIP bridge's own processes around a real phone and a real room: what agent and phone are told
of each other, and what is left when a process dies."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bridges.audio.waveform import loud_spans
from bridges.data_room import PANIC_SIGNAL
from contracts.command import HangUp, SendDigits, Transfer
from contracts.leg_news import (
    AnyNews,
    CallAnswered,
    CallHeld,
    CallResumed,
    DigitHeard,
    TransferAccepted,
    TransferRefused,
)
from contracts.outcome import Reason
from contracts.plan import Plan
from contracts.report import LegEnded
from contracts.trunk import Trunk
from tests.fakes.baresip import RATE_HZ, Baresip, baresip
from tests.fakes.ports import free_port
from tests.fakes.room_agent import RoomAgent
from tests.fakes.served_sidecar import served
from tests.fakes.sidecar import SECRET, FakeSidecar
from tests.fakes.tone import tone
from tests.integration.livekit_server import LiveKitServer

AUTO = ";answermode=auto"


@dataclass
class SipBridge:
    """`python -m bridges.sip` and what it was told by a sidecar."""

    sidecar: FakeSidecar
    port: int
    process: asyncio.subprocess.Process

    @property
    def uri(self) -> str:
        return f"sip:desk@127.0.0.1:{self.port}"

    def media(self) -> psutil.Process:
        """Return the media process."""
        (media,) = psutil.Process(self.process.pid).children()
        return media

    async def is_up(self, after: int = 0) -> None:
        """Wait until a media process asks for calls, one more than so many claims later."""
        await until(lambda: len(self.sidecar.claims) > after)


async def until(happened: Callable[[], bool], timeout_s: float = 20.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not happened():  # noqa: ASYNC110 - processes do not tell of everything
            await asyncio.sleep(0.02)


def has_heard(agent: RoomAgent, kind: type[AnyNews]) -> bool:
    return any(isinstance(news, kind) for news in agent.news)


@asynccontextmanager
async def sip_bridge(server: LiveKitServer, folder: Path) -> AsyncIterator[SipBridge]:
    sidecar = FakeSidecar(server.url, server.key, server.secret)
    port = free_port()
    async with served(sidecar) as url:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bridges.sip",
            env={
                **os.environ,
                "SIP_PORT": str(port),
                "SIP_TLS_PORT": "0",
                "SIP_HEALTH_PORT": "0",
                "SIP_STATE_DIR": str(folder / "state"),
                "SIDECAR_URL": url,
                "VOXCORE_SECRET": SECRET,
            },
        )
        bridge = SipBridge(sidecar, port, process)
        try:
            await bridge.is_up()
            yield bridge
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), 20)


@dataclass
class Call:
    """A call under way."""

    bridge: SipBridge
    plan: Plan
    agent: RoomAgent
    phone: Baresip

    async def ended(self) -> LegEnded:
        """Wait until the sidecar is told of its end."""
        return await self.bridge.sidecar.ended(self.plan.call_id)


@asynccontextmanager
async def call_in(bridge: SipBridge, phone: Baresip) -> AsyncIterator[Call]:
    """Let the phone call the bridge; its agent comes at once."""
    known = len(bridge.sidecar.plans)
    await phone.dial(bridge.uri)
    plan = (await bridge.sidecar.planned(known + 1))[-1]
    agent = await RoomAgent.join(bridge.sidecar, plan)
    await asyncio.wait_for(agent.answered.wait(), 10)
    await phone.saw("CALL_ESTABLISHED")
    yield Call(bridge, plan, agent, phone)
    await agent.leave()


@asynccontextmanager
async def called_bridge(
    server: LiveKitServer, folder: Path, *, says: bytes = b""
) -> AsyncIterator[Call]:
    """Run a bridge and a phone that has called it."""
    async with (
        sip_bridge(server, folder) as bridge,
        baresip(folder / "phone", says=says) as phone,
        call_in(bridge, phone) as call,
    ):
        yield call


async def test_phone_and_agent_hear_each_other_and_what_becomes_of_the_line(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    says = bytes(RATE_HZ) + tone(1.0)
    async with called_bridge(livekit_server, tmp_path, says=says) as call:
        agent, phone = call.agent, call.phone
        await agent.say(1, tone(1.0))
        await agent.until(lambda: bool(agent.finished))
        await agent.until(lambda: bool(loud_spans(agent.heard_pcm(), rate_hz=RATE_HZ)))
        await until(lambda: len(loud_spans(phone.heard(), rate_hz=RATE_HZ)) == 1)
        (span,) = loud_spans(phone.heard(), rate_hz=RATE_HZ)
        assert 0.95 <= span.end_s - span.start_s <= 1.05

        await phone.hold()
        await agent.until(lambda: CallHeld() in agent.news)
        await phone.resume()
        await agent.until(lambda: CallResumed() in agent.news)
        await phone.press("5")
        await agent.until(lambda: has_heard(agent, DigitHeard))
        assert [type(news) for news in agent.news] == [
            CallAnswered,
            CallHeld,
            CallResumed,
            DigitHeard,
        ]
        await agent.command(SendDigits(digits="7"))
        await phone.saw("CALL_DTMF_START", where=lambda event: event["param"] == "7")
        await agent.command(HangUp(message="Goodbye"))
        await phone.saw("CALL_CLOSED")
        ended = await call.ended()
        assert ended.reason is Reason.BOT_ENDED
        assert ended.stats["lost_packets"] == 0
        assert call.bridge.sidecar.names(call.plan.call_id) == [
            "leg_started",
            "leg_ringing",
            "leg_answered",
            "leg_held",
            "leg_resumed",
            "digit_pressed",
            "leg_ended",
        ]


async def test_call_that_is_placed_rings_is_answered_and_spoken_to(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    async with (
        sip_bridge(livekit_server, tmp_path) as bridge,
        baresip(tmp_path / "phone", user="100", account=AUTO) as phone,
    ):
        trunk = Trunk(
            trunk_id="t", name="Phone", kind="bridge", address=f"127.0.0.1:{phone.port}",
            transport="udp", number_format="plain",
        )  # fmt: skip
        order = await bridge.sidecar.order(trunk, "100")
        agent = await RoomAgent.join(bridge.sidecar, order.plan)
        # What is said to somebody who is not in the room yet is lost.
        await until(lambda: order.plan.caller_identity in agent.room.remote_participants)
        await agent.say(1, tone(0.5))
        await asyncio.wait_for(agent.answered.wait(), 10)
        await agent.until(lambda: bool(agent.finished))
        await until(lambda: bool(loud_spans(phone.heard(), rate_hz=RATE_HZ)))
        await phone.hang_up()
        ended = await bridge.sidecar.ended(order.plan.call_id)
        assert ended.reason is Reason.CALLER_HUNG_UP
        assert bridge.sidecar.names(order.plan.call_id) == [
            "leg_dialled",
            "leg_ringing",
            "leg_answered",
            "leg_ended",
        ]
        await agent.leave()


async def test_transfer_that_fails_leaves_the_caller_and_one_that_succeeds_takes_him_away(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    async with (
        sip_bridge(livekit_server, tmp_path) as bridge,
        baresip(tmp_path / "desk", user="desk", account=AUTO) as desk,
        baresip(tmp_path / "phone") as phone,
        call_in(bridge, phone) as call,
    ):
        agent = call.agent
        await agent.command(Transfer(to=f"sip:nobody@127.0.0.1:{desk.port}"))
        await agent.until(lambda: has_heard(agent, TransferRefused))
        await agent.say(1, tone(0.5))
        await agent.until(lambda: bool(agent.finished))
        await agent.command(Transfer(to=desk.uri))
        await agent.until(lambda: has_heard(agent, TransferAccepted))
        await desk.saw("CALL_ESTABLISHED")
        ended = await call.ended()
        assert ended.reason is Reason.TRANSFERRED


async def test_media_process_that_dies_is_replaced_and_its_callers_are_hung_up(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    async with (
        sip_bridge(livekit_server, tmp_path) as bridge,
        baresip(tmp_path / "phone") as phone,
    ):
        async with call_in(bridge, phone):
            claims = len(bridge.sidecar.claims)
            bridge.media().kill()
            await phone.saw("CALL_CLOSED")
        await bridge.is_up(after=claims)
        seen = len(phone.events)
        async with call_in(bridge, phone) as call:
            await phone.saw("CALL_ESTABLISHED", since=seen)
            await call.agent.command(HangUp())
            ended = await call.ended()
            assert ended.reason is Reason.BOT_ENDED


async def test_media_process_whose_sdk_panics_is_replaced_once_its_calls_are_over(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    async with called_bridge(livekit_server, tmp_path) as call:
        bridge = call.bridge
        sick = bridge.media()
        sick.send_signal(PANIC_SIGNAL)
        await until(lambda: not bridge.sidecar.heartbeats[-1].ready)
        await call.agent.say(1, tone(0.5))
        await call.agent.until(lambda: bool(call.agent.finished))
        await call.phone.hang_up()
        assert (await call.ended()).reason is Reason.CALLER_HUNG_UP
        await until(lambda: any(beat.pid != sick.pid for beat in bridge.sidecar.heartbeats))


async def test_signalling_that_dies_leaves_no_call_without_a_report(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    async with called_bridge(livekit_server, tmp_path) as call:
        bridge = call.bridge
        media = bridge.media()
        bridge.process.kill()
        ended = await call.ended()
        assert ended.reason is Reason.BRIDGE_LOST
        await until(lambda: not media.is_running() or media.status() == psutil.STATUS_ZOMBIE)


async def test_bridge_that_is_stopped_lets_its_calls_end(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    async with called_bridge(livekit_server, tmp_path) as call:
        bridge = call.bridge
        # A service's supervisor sends it to every process.
        bridge.media().send_signal(signal.SIGTERM)
        bridge.process.send_signal(signal.SIGTERM)
        await call.agent.say(1, tone(1.0))
        await call.agent.until(lambda: bool(call.agent.finished))
        assert bridge.process.returncode is None
        await call.phone.hang_up()
        assert (await call.ended()).reason is Reason.CALLER_HUNG_UP
        assert await asyncio.wait_for(bridge.process.wait(), 30) == 0
