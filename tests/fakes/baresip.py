"""A real phone: one `baresip` process, told what to do and listened to over its control socket."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes.missing import Required, missing
from tests.fakes.ports import free_port

BINARY = shutil.which("baresip")
RATE_HZ = 8000
_SETTLE_S = 0.05
_STARTS = 4

_CONFIG = """\
sip_listen 127.0.0.1:{port}
{tls}net_interface 127.0.0.1
call_max_calls 4
audio_source aufile,{voice}
audio_player aubridge,null
audio_alert aubridge,null
auplay_srate 8000
ausrc_srate 8000
audio_silence -90.0
rtp_ports {rtp}-{rtp_end}
rtcp_mux no
jitter_buffer_delay 1-5
ctrl_tcp_listen 127.0.0.1:{control}
snd_path {folder}
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module srtp.so
module ctrl_tcp.so
module_app account.so
module_app menu.so
"""


@dataclass(slots=True)
class Baresip:
    """One phone. `events` holds everything it told, in order."""

    folder: Path
    port: int
    user: str
    _process: asyncio.subprocess.Process
    _writer: asyncio.StreamWriter
    events: list[dict[str, Any]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def uri(self) -> str:
        """What to dial to reach it."""
        return f"sip:{self.user}@127.0.0.1:{self.port}"

    async def dial(self, uri: str) -> None:
        """Call somebody."""
        await self.command("dial", uri)

    async def hang_up(self) -> None:
        await self.command("hangup")

    async def hold(self) -> None:
        await self.command("hold")

    async def resume(self) -> None:
        await self.command("resume")

    async def accept(self) -> None:
        """Pick up."""
        await self.command("accept")

    async def say(self, pcm: bytes) -> None:
        """Speak from now on, then be silent; what was being said is cut off."""
        voice = self.folder / f"says-{len(list(self.folder.glob('says-*.wav')))}.wav"
        _write_voice(voice, pcm)
        await self.command("ausrc", f"aufile,{voice}")

    async def press(self, digits: str) -> None:
        """Press keys, one after the other."""
        for digit in digits:
            await self.command("sndcode", digit)
            await asyncio.sleep(0.25)

    async def command(self, name: str, params: str = "") -> None:
        """Tell the phone something, as its own menu would."""
        body = json.dumps({"command": name, "params": params, "token": name}).encode()
        self._writer.write(b"%d:%s," % (len(body), body))
        await self._writer.drain()

    async def saw(
        self,
        kind: str,
        *,
        since: int = 0,
        where: Callable[[dict[str, Any]], bool] = lambda _: True,
        timeout_s: float = 15.0,
    ) -> dict[str, Any]:
        """Wait for an event of a kind (`CALL_ESTABLISHED`, `CALL_CLOSED` …) and return it."""

        def found() -> dict[str, Any] | None:
            matching = (e for e in self.events[since:] if e.get("type") == kind and where(e))
            return next(matching, None)

        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(lambda: found() is not None)
        except TimeoutError:
            seen = [event.get("type") for event in self.events]
            log = "\n".join(self.log[-30:])
            raise AssertionError(f"no {kind}; the phone saw {seen}\n{log}") from None
        event = found()
        assert event is not None
        return event

    def heard(self, call: int = -1) -> bytes:
        """Return what the phone's user has heard in its last call, or another one by its number.

        PCM, 16 bit, 8 kHz.
        """
        dumps = sorted(self.folder.glob("dump-*-dec.wav"), key=lambda path: path.stat().st_mtime)
        if not dumps:
            return b""
        raw = dumps[call].read_bytes()
        with suppress(wave.Error, EOFError), wave.open(str(dumps[call])) as file:
            assert (file.getframerate(), file.getsampwidth()) == (RATE_HZ, 2)
        # While the file is being written, its header tells of no samples yet.
        pcm = raw[44:]
        return pcm[: len(pcm) // 2 * 2]

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                length = int((await reader.readuntil(b":"))[:-1])
                body = json.loads((await reader.readexactly(length + 1))[:-1])
                async with self._changed:
                    self.events.append(body)
                    self._changed.notify_all()

    async def _read_log(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.log.append(line.decode(errors="replace").rstrip())


@asynccontextmanager
async def baresip(
    folder: Path,
    *,
    user: str = "alice",
    says: bytes = b"",
    account: str = "",
    transport: str = "udp",
    ca: Path | None = None,
) -> AsyncIterator[Baresip]:
    """Run a phone.

    Args:
        folder: for its configuration and what it hears; made if need be.
        user: its name.
        says: what its user says from the start of the call (PCM, 16 bit, 8 kHz), then silence.
        account: more of its account's parameters (`;answermode=auto`, `;mediaenc=srtp-mand` …).
        transport: what it calls by.
        ca: whom it trusts, for TLS.
    """
    if BINARY is None:
        missing(Required.SIP_PEERS, "baresip: install Debian's package of that name")
    folder.mkdir(parents=True, exist_ok=True)
    voice = folder / "voice.wav"
    _write_voice(voice, says)
    started, attempts = None, 0
    while started is None:
        attempts += 1
        assert attempts <= _STARTS, "baresip ends at its start, whatever its ports"
        port, control = free_port(), free_port()
        # Below the ports that programs are given by chance.
        rtp = random.randrange(10_000, 19_900, 2)
        config = _CONFIG.format(
            port=port,
            voice=voice,
            rtp=rtp,
            rtp_end=rtp + 20,
            control=control,
            folder=folder,
            tls=f"sip_cafile {ca}\n" if ca else "",
        )
        (folder / "config").write_text(config)
        (folder / "accounts").write_text(
            f"<sip:{user}@127.0.0.1:{port};transport={transport}>;regint=0{account}\n"
        )
        started = await _started(folder, control)
    process, reader, writer = started
    phone = Baresip(folder, port, user, process, writer)
    tasks = [asyncio.create_task(phone._listen(reader)), asyncio.create_task(phone._read_log())]
    try:
        yield phone
    finally:
        with suppress(ConnectionError):
            await phone.command("quit")
        writer.close()
        try:
            async with asyncio.timeout(3):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _write_voice(path: Path, says: bytes) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        # At the end of its file it would start again.
        file.writeframes(says + bytes(2 * RATE_HZ * 120))


async def _started(
    folder: Path, control: int
) -> tuple[asyncio.subprocess.Process, asyncio.StreamReader, asyncio.StreamWriter] | None:
    """Start the program; None where it ended at once, as it does if a port has been taken."""
    (folder / "contacts").touch()
    process = await asyncio.create_subprocess_exec(
        *(str(BINARY), "-f", str(folder)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(10):
        while process.returncode is None:
            try:
                return process, *await asyncio.open_connection("127.0.0.1", control)
            except OSError:
                await asyncio.sleep(_SETTLE_S)
    return None
