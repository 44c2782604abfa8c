"""A vendor's address that sends us elsewhere is not followed there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import WSServerHandshakeError, web
from google.genai import live
from livekit.agents import APIError, stt, tts, utils
from websockets.exceptions import InvalidStatus

from agent.vendor.deepgram import deepgram_stt
from agent.vendor.direct import DirectConnect, Redirected, direct_session, make_gemini_direct
from agent.vendor.elevenlabs import elevenlabs_tts
from agent.vendor.flux import flux_stt
from agent.vendor.sarvam import sarvam_tts
from agent.vendor.soniox import soniox_stt
from contracts.engines import SttConfig, TtsConfig
from tests.agent.vendor.hearing import ONCE, RATE_HZ

KEY = "a-key-which-nobody-else-may-see"


class Elsewhere:
    """A server where everything is at `/secret`."""

    def __init__(self) -> None:
        self.port = 0
        self.visits = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def serve(self) -> web.AppRunner:
        app = web.Application()
        app.add_routes(
            [web.get("/secret", self._visit), web.route("*", "/{path:.*}", self._send_on)]
        )
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        return runner

    async def _send_on(self, _: web.Request) -> web.Response:
        raise web.HTTPFound("/secret")

    async def _visit(self, _: web.Request) -> web.Response:
        self.visits += 1
        return web.Response()


@pytest_asyncio.fixture
async def elsewhere() -> AsyncIterator[Elsewhere]:
    server = Elsewhere()
    runner = await server.serve()
    async with utils.http_context.open():
        yield server
    await runner.cleanup()


async def test_session_is_not_sent_on(elsewhere: Elsewhere) -> None:
    session = direct_session()
    assert direct_session() is session
    assert len(session.trace_configs) == 1
    with pytest.raises(Redirected):
        await session.ws_connect(elsewhere.url)
    with pytest.raises(WSServerHandshakeError):
        await session.ws_connect(f"http://127.0.0.1:{elsewhere.port}/secret")
    assert elsewhere.visits == 1


@pytest.mark.parametrize(
    "make",
    [deepgram_stt, flux_stt, soniox_stt, elevenlabs_tts, sarvam_tts],
    ids=lambda make: make.__name__,
)
async def test_vendor_is_not_sent_on(elsewhere: Elsewhere, make: Callable[..., Any]) -> None:
    chosen = {"api_key": KEY, "base_url": elsewhere.url}
    is_stt = make.__name__.endswith("stt")
    config = SttConfig if is_stt else TtsConfig
    engine: stt.STT[Any] | tts.TTS[Any] = make(config.model_validate(chosen), RATE_HZ)
    try:
        async with engine.stream(conn_options=ONCE) as stream:
            if isinstance(stream, tts.SynthesizeStream):
                stream.push_text("Hello.")
            stream.end_input()
            with pytest.raises(APIError) as failed:
                async for _ in stream:
                    pass
    finally:
        await engine.aclose()
    assert KEY not in repr(failed.value)
    assert elsewhere.visits == 0


async def test_google_s_library_is_not_sent_on(elsewhere: Elsewhere) -> None:
    make_gemini_direct()
    connect = vars(live)["ws_connect"]
    assert connect is DirectConnect
    with pytest.raises(InvalidStatus):
        await connect(elsewhere.url.replace("http", "ws"))
    assert elsewhere.visits == 0
