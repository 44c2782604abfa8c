"""The three stand-in vendors on one port, in the caller's event loop."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TextIO

from aiohttp import web
from pydantic import ValidationError

from tests.fakes.vendors.deepgram import Deepgram
from tests.fakes.vendors.elevenlabs import ElevenLabs
from tests.fakes.vendors.flux import Flux
from tests.fakes.vendors.gemini import Gemini
from tests.fakes.vendors.gemini_live import GeminiLive
from tests.fakes.vendors.journal import Journal
from tests.fakes.vendors.openai import OpenAI
from tests.fakes.vendors.openai_realtime import OpenAiRealtime
from tests.fakes.vendors.sarvam import Sarvam
from tests.fakes.vendors.script import VendorScript
from tests.fakes.vendors.soniox import Soniox


class VendorServer:
    """`async with VendorServer(VendorScript(...)) as vendors`: serves on loopback until left.

    `POST /_control` takes a part of a `VendorScript` as JSON, which holds from then on; `GET`
    returns the whole of it.
    """

    def __init__(
        self, script: VendorScript | None = None, *, port: int = 0, log: Path | None = None
    ) -> None:
        self.script = script or VendorScript()
        self.journal = Journal()
        self.port = port
        self._log = log
        self._file: TextIO | None = None
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> VendorServer:
        if self._log is not None:
            self._file = self.journal.file = self._log.open("a")
        app = web.Application()
        for vendor in (
            Deepgram,
            OpenAI,
            Gemini,
            ElevenLabs,
            Flux,
            Soniox,
            Sarvam,
            OpenAiRealtime,
            GeminiLive,
        ):
            app.add_routes(vendor(self.script, self.journal).routes())
        app.add_routes([web.get("/_control", self._show), web.post("/_control", self._control)])
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._file is not None:
            self._file.close()

    @property
    def deepgram(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/listen"

    @property
    def flux(self) -> str:
        return f"http://127.0.0.1:{self.port}/v2/listen"

    @property
    def soniox(self) -> str:
        return f"http://127.0.0.1:{self.port}/transcribe-websocket"

    @property
    def sarvam(self) -> str:
        return f"http://127.0.0.1:{self.port}/text-to-speech"

    @property
    def openai(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def google(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def elevenlabs(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def _show(self, http: web.Request) -> web.Response:
        return web.json_response(self.script.model_dump(mode="json"))

    async def _control(self, http: web.Request) -> web.Response:
        try:
            self.script.change(await http.json())
        except ValidationError as error:
            return web.json_response({"error": str(error)}, status=400)
        return await self._show(http)
