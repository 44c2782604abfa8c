"""A call on networks that lose, delay, reorder and break: nothing is lost, and nothing stays late.

The bridge and the agent's end of the wire are the real ones; each has a network of its own between
itself and a real LiveKit server.
"""

from __future__ import annotations

import asyncio
import time
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from livekit import rtc
from livekit.rtc.participant import PublishDataError

from agent.recording import Recorder
from agent.room_audio import MediaLink
from bridges.app import Bridge
from bridges.clock import Clock
from bridges.phone import Phone
from bridges.race import cancel
from bridges.settings import Settings
from contracts.ids import ANSWERED_ATTRIBUTE, PRESENCE_TRACK, agent_identity, caller_identity
from contracts.media import MAX_PACKET_BYTES
from tests.fakes.detour import Detour
from tests.fakes.sidecar import FakeSidecar
from tests.fakes.udp_relay import Weather
from tests.integration.listening import sounding
from tests.integration.livekit_server import LiveKitServer

RATE_HZ = 8000
BAD = Weather(loss=0.02, jitter_s=0.02, reorder=0.05)
BACKLOG_S = 1.0
"""What may be on its way at any time, on a busy machine: half of the outage that was."""


def voice(seconds: float, seed: int) -> bytes:
    """Return noise: no stretch of it occurs twice."""
    samples = np.random.default_rng(seed).integers(-9000, 9000, int(seconds * RATE_HZ))
    return samples.astype("<i2").tobytes()


@dataclass
class Call:
    """A call under way, with the network of either side.

    Attributes:
        underruns: how often the bridge had nothing to play in the middle of speech; known at the
            call's end.
    """

    phone: Phone
    link: MediaLink
    bridge_side: Detour
    agent_side: Detour
    caller_pcm: bytearray
    path: Path
    underruns: int = -1

    def detour(self, leg: str) -> Detour:
        return self.bridge_side if leg == "bridge" else self.agent_side

    async def say_as_bot(self, pcm: bytes) -> asyncio.Event:
        """Hand the bot's words to the wire; the event tells that they were played to their end."""
        played = asyncio.Event()
        self.link.output.once("playback_finished", lambda _event: played.set())
        frame = rtc.AudioFrame(pcm, RATE_HZ, 1, len(pcm) // 2)
        await self.link.output.capture_frame(frame)
        self.link.output.flush()
        return played

    async def until_heard(self, pcm: bytes) -> None:
        await until(lambda: pcm in self.caller_pcm)

    async def prove_no_delay(self) -> None:
        """See that what is said now arrives now."""
        later = voice(0.4, 9)
        await self.phone.say(later)
        await self.until_heard(later)
        assert self.backlog_s() < BACKLOG_S

    def backlog_s(self) -> float:
        """Return how much of what was said so far the agent has not got."""
        return (len(self.phone.said()) - len(self.caller_pcm)) / 2 / RATE_HZ


async def until(predicate: Callable[[], bool]) -> None:
    while not predicate():  # noqa: ASYNC110 - audio has no event for what it contains
        await asyncio.sleep(0.02)


@asynccontextmanager
async def call(server: LiveKitServer, folder: Path) -> AsyncIterator[Call]:
    sidecar = FakeSidecar(server.url, server.key, server.secret)
    async with (
        asyncio.timeout(40),
        Detour(server.url, server.udp_port, seed=1) as bridge_side,
        Detour(server.url, server.udp_port, seed=2) as agent_side,
        sidecar.client() as client,
        Bridge(Settings(bridge_port=0), client, Clock()) as bridge,
    ):
        sidecar._livekit_url = bridge_side.url
        url = f"ws://127.0.0.1:{bridge.port}/ws/desk"
        async with Phone.call(url) as phone:
            (plan,) = await sidecar.planned()
            room, answered = rtc.Room(), asyncio.Event()

            def meet(participant: rtc.Participant) -> None:
                if participant.attributes.get(ANSWERED_ATTRIBUTE) == "1":
                    answered.set()

            room.on("participant_connected", meet)
            room.on("participant_attributes_changed", lambda _, who: meet(who))
            token = sidecar.token(plan.room_name, agent_identity(plan.call_id, 1))
            await room.connect(agent_side.url, token, rtc.RoomOptions(auto_subscribe=False))
            caller_pcm, path = bytearray(), folder / "call.wav"
            with Recorder(path, RATE_HZ, lambda *_: None) as recorder:

                def hear(at_ms: int, caller: bytes, bot: bytes) -> None:
                    caller_pcm.extend(caller)
                    recorder.add(at_ms=at_ms, caller=caller, bot=bot)

                link = MediaLink(
                    room,
                    caller_identity=caller_identity(plan.call_id),
                    rate_hz=RATE_HZ,
                    clock=time.time,
                    on_audio=hear,
                )
                running = asyncio.create_task(link.run())
                for participant in room.remote_participants.values():
                    meet(participant)
                await room.local_participant.publish_data_track(name=PRESENCE_TRACK)
                await answered.wait()
                live = Call(phone, link, bridge_side, agent_side, caller_pcm, path)
                yield live
                bridge_side.relay.weather = agent_side.relay.weather = Weather()
            await cancel(running)
            await room.disconnect()
        live.underruns = (await sidecar.ended()).stats["underruns"]


def channels(path: Path) -> tuple[bytes, bytes]:
    """Return both channels of a recording."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    return samples[:, 0].tobytes(), samples[:, 1].tobytes()


async def test_audio_arrives_whole_both_ways_in_bad_weather(
    livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    async with call(livekit_server, tmp_path) as live:
        live.bridge_side.relay.weather = live.agent_side.relay.weather = BAD
        says, replies = voice(3.0, 1), voice(3.0, 2)
        played = await live.say_as_bot(replies)
        await live.phone.say(says)
        await live.until_heard(says)
        await played.wait()
        await until(lambda: replies in live.phone.received)

        await live.prove_no_delay()
        for relay in (live.bridge_side.relay, live.agent_side.relay):
            assert relay.up["lost"] + relay.down["lost"] > 0
            assert relay.up["reordered"] + relay.down["reordered"] > 0
        # What the caller said went over the one network, and again over the other one.
        assert live.bridge_side.relay.up["dtls_bytes"] > len(says)
        assert live.agent_side.relay.down["dtls_bytes"] > len(says)

    caller, bot = channels(live.path)
    assert sounding(says) in sounding(caller)
    assert sounding(replies) in sounding(bot)
    assert live.underruns == 0


@pytest.mark.parametrize("leg", ["bridge", "agent"])
@pytest.mark.parametrize("what", ["media", "all"])
async def test_two_seconds_without_a_network_lose_nothing_and_leave_no_delay(
    livekit_server: LiveKitServer, tmp_path: Path, leg: str, what: str
) -> None:
    async with call(livekit_server, tmp_path) as live:
        says, replies = voice(3.5, 3), voice(4.5, 4)
        played = await live.say_as_bot(replies)
        saying = asyncio.create_task(live.phone.say(says))
        await live.until_heard(says[: RATE_HZ // 2])

        if what == "all":
            live.detour(leg).drop_signalling()
        await live.detour(leg).relay.cut(2.0)
        assert live.detour(leg).relay.up["cut"] > 0
        await saying
        await live.until_heard(says)
        await played.wait()
        await until(lambda: replies in live.phone.received)

        await live.prove_no_delay()

    caller, bot = channels(live.path)
    assert sounding(says) in sounding(caller)
    assert sounding(replies) in sounding(bot)
    assert live.underruns == 0
    # Both ran on the bridge's clock, which no network stops.
    began_apart_s = (caller.index(says[:320]) - bot.index(replies[:320])) / 2 / RATE_HZ
    assert abs(began_apart_s) < BACKLOG_S


async def test_packets_arrive_up_to_the_servers_limit_and_no_further(
    livekit_server: LiveKitServer,
) -> None:
    sidecar = FakeSidecar(livekit_server.url, livekit_server.key, livekit_server.secret)
    arrived: asyncio.Queue[int] = asyncio.Queue()
    async with (
        asyncio.timeout(20),
        Detour(livekit_server.url, livekit_server.udp_port) as detour,
    ):
        sender, receiver = rtc.Room(), rtc.Room()
        receiver.on("data_received", lambda packet: arrived.put_nowait(len(packet.data)))
        options = rtc.RoomOptions(auto_subscribe=False)
        await receiver.connect(detour.url, sidecar.token("sizes", "receiver"), options)
        await sender.connect(detour.url, sidecar.token("sizes", "sender"), options)
        detour.relay.weather = BAD
        sizes = [0, 1, MAX_PACKET_BYTES - 1, MAX_PACKET_BYTES, 15 * 1024 + 1, 60_000]
        for size in sizes:
            await sender.local_participant.publish_data(bytes(size))
        assert [await arrived.get() for _ in sizes] == sizes

        with pytest.raises(PublishDataError, match="maximum message size"):
            await sender.local_participant.publish_data(bytes(64_000))
        await sender.local_participant.publish_data(bytes(7))
        assert await arrived.get() == 7
        detour.relay.weather = Weather()
        await sender.disconnect()
        await receiver.disconnect()
