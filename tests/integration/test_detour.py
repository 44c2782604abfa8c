"""The network that transport tests stand on: what it does, and that no media goes around it."""

from __future__ import annotations

import asyncio
import itertools
import json

from livekit import rtc
from livekit.protocol.rtc import SessionDescription, SignalRequest, SignalResponse, TrickleRequest

from tests.fakes.detour import Detour, point_response, strip_request
from tests.fakes.sidecar import FakeSidecar
from tests.fakes.udp_relay import Line, Weather
from tests.integration.livekit_server import LiveKitServer

CANDIDATE = "candidate:1 1 udp 2130706431 10.0.0.7 7882 typ host ufrag x"
SDP = f"v=0\r\na=mid:0\r\na={CANDIDATE}\r\na=end-of-candidates\r\n"


def dues(weather: Weather, seed: str = "a") -> list[float | None]:
    line = Line(seed)
    return [line.due(b"\x17", n / 50, weather, is_cut=False) for n in range(1000)]


def test_losses_are_those_of_the_seed() -> None:
    lost = [due is None for due in dues(Weather(loss=0.05))]
    assert 30 <= sum(lost) <= 70
    assert lost == [due is None for due in dues(Weather(loss=0.05))]
    assert lost != [due is None for due in dues(Weather(loss=0.05), seed="b")]


def test_jitter_delays_and_keeps_the_order() -> None:
    arrivals = [due for due in dues(Weather(delay_s=0.01, jitter_s=0.05)) if due is not None]
    waits = [due - n / 50 for n, due in enumerate(arrivals)]
    assert arrivals == sorted(arrivals)
    assert 0.01 <= min(waits) < 0.015
    assert 0.055 < max(waits) <= 0.06


def test_reordering_lets_later_ones_overtake() -> None:
    arrivals = [due for due in dues(Weather(reorder=0.1)) if due is not None]
    overtaken = sum(one > other for one, other in itertools.pairwise(arrivals))
    assert 60 <= overtaken <= 140


def test_cut_line_counts_what_it_swallows() -> None:
    line = Line("a")
    assert line.due(b"\x80", 0.0, Weather(), is_cut=True) is None
    assert line.due(b"\x80", 0.0, Weather(), is_cut=False) == 0.0
    assert line.tally == {"cut": 1, "sent": 1, "rtp_bytes": 1}


def test_server_is_pointed_at_the_relay() -> None:
    trickle = TrickleRequest(candidateInit=json.dumps({"candidate": CANDIDATE, "sdpMid": "0"}))
    pointed = SignalResponse.FromString(
        point_response(SignalResponse(trickle=trickle).SerializeToString(), 9000)
    )
    expected = "candidate:1 1 udp 2130706431 127.0.0.1 9000 typ host ufrag x"
    assert json.loads(pointed.trickle.candidateInit) == {"candidate": expected, "sdpMid": "0"}
    answer = SignalResponse(answer=SessionDescription(type="answer", sdp=SDP))
    pointed = SignalResponse.FromString(point_response(answer.SerializeToString(), 9000))
    assert pointed.answer.sdp == SDP.replace(CANDIDATE, expected)


def test_clients_own_addresses_are_kept_from_the_server() -> None:
    trickle = SignalRequest(trickle=TrickleRequest(candidateInit="{}"))
    assert strip_request(trickle.SerializeToString()) is None
    offer = SignalRequest(offer=SessionDescription(type="offer", sdp=SDP))
    stripped = strip_request(offer.SerializeToString())
    assert stripped is not None
    assert SignalRequest.FromString(stripped).offer.sdp == SDP.replace(f"a={CANDIDATE}\r\n", "")


async def test_all_media_crosses_the_relays(livekit_server: LiveKitServer) -> None:
    sidecar = FakeSidecar(livekit_server.url, livekit_server.key, livekit_server.secret)
    arrived: asyncio.Queue[int] = asyncio.Queue()
    async with (
        asyncio.timeout(20),
        Detour(livekit_server.url, livekit_server.udp_port) as near,
        Detour(livekit_server.url, livekit_server.udp_port) as far,
    ):
        speaker, listener = rtc.Room(), rtc.Room()
        listener.on("data_received", lambda packet: arrived.put_nowait(len(packet.data)))
        options = rtc.RoomOptions(auto_subscribe=False)
        await speaker.connect(near.url, sidecar.token("detour", "speaker"), options)
        await listener.connect(far.url, sidecar.token("detour", "listener"), options)
        before = near.relay.up["dtls_bytes"], far.relay.down["dtls_bytes"]
        sent_bytes = 0
        for _ in range(10):
            await speaker.local_participant.publish_data(bytes(5_000))
            sent_bytes += await arrived.get()

        crossed = near.relay.up["dtls_bytes"] - before[0], far.relay.down["dtls_bytes"] - before[1]
        assert sent_bytes == 50_000
        assert all(sent_bytes < each < 1.2 * sent_bytes for each in crossed)

        far.relay.is_cut = True
        await speaker.local_participant.publish_data(b"x")
        # Long enough on loopback for anything that knows another way.
        await asyncio.sleep(0.3)
        assert arrived.empty()
        far.relay.is_cut = False
        assert await arrived.get() == 1
        await speaker.disconnect()
        await listener.disconnect()
