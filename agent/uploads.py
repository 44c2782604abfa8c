"""What is recorded leaves this host: each complete recording goes to where the sidecar wants it.

A recording is complete once no process writes it: its call's job is done with it, or dead. The
file stays until the sidecar has seen it at its place; until then it is offered again, ever more
rarely.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import structlog

from agent.recording import is_being_written, mend
from contracts.recording import RecordingOffer, RecordingTarget
from sidecar.client import Refused, SidecarClient, SidecarError, file_chunks

log = structlog.get_logger(__name__)

STORED, REFUSED = "stored", "refused"
"""Sub-folders: what is kept here for a while although nobody needs it, and what nobody wants."""

_NAME = re.compile(r"(?P<call_id>[0-9a-f-]{36})\.(?P<incarnation>[1-9][0-9]{0,5})\.wav")
_SWEEP_S = 0.5
_LIVE_PAUSE_S = 1.0
_FIRST_PAUSE_S = 1.0
_LAST_PAUSE_S = 60.0
_EMPTY_AGE_S = 60.0
"""A file that young may be about to be written."""
_KEEP_REFUSED_H = 24
_EXPIRY_PERIOD_S = 60.0
_ASK_AT_ONCE = 1000
_TIMEOUT = httpx.Timeout(10.0, read=60.0, write=60.0)
_UNWANTED = {"body_invalid", "call_unknown", "stale_incarnation"}
_ERASED = "call_erased"
_LIVE = "call_live"
_CODE = re.compile(rb"<Code>([A-Za-z]{1,60})</Code>")


class StorageRefused(Exception):
    """The object storage did not take the file; the message is its status and its own code."""


@dataclass(slots=True)
class _Waiting:
    """A file that could not leave yet."""

    offer: RecordingOffer
    due_at: float = 0.0
    tries: int = 0


class Uploads:
    """The recordings in a folder of this host, on their way to where they are kept.

    Args:
        folder: where jobs write them.
        client: the sidecar.
        keep_local_h: how long a file stays in `stored` after it has arrived; 0: not at all.
        now: UTC seconds.
        monotonic: seconds of a clock that is never set.
        spread: by what a pause is multiplied, so that not all hosts come back at once.
        transport: carries files to the object storage; a test's own, or None for the network.
    """

    def __init__(
        self,
        folder: Path,
        client: SidecarClient,
        *,
        keep_local_h: float = 0,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        spread: Callable[[], float] = lambda: random.uniform(0.75, 1.25),
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._folder = folder
        self._client = client
        self._keep_s = {STORED: keep_local_h * 3600, REFUSED: _KEEP_REFUSED_H * 3600}
        self._now = now
        self._monotonic = monotonic
        self._spread = spread
        self._storage = httpx.AsyncClient(timeout=_TIMEOUT, transport=transport, trust_env=False)
        self._waiting: dict[Path, _Waiting] = {}
        self._expiry_at = 0.0

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await self.sweep()
            await asyncio.sleep(_SWEEP_S)

    async def finish(self, timeout_s: float) -> None:
        """Let what is complete leave, as far as it does so in time; to be called at the end."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._complete():
                    await self.sweep()
                    await asyncio.sleep(_SWEEP_S)
        except TimeoutError:
            log.warning("recordings stay for the next start", files=len(self._complete()))
        finally:
            await self._storage.aclose()

    async def sweep(self) -> None:
        """Hand over, once, each complete recording whose time has come."""
        complete = self._complete()
        self._waiting = {path: self._waiting[path] for path in complete if path in self._waiting}
        for path in complete:
            waiting = self._waiting.get(path)
            if waiting is not None and self._monotonic() < waiting.due_at:
                continue
            try:
                await self._hand_over(path)
            except OSError as error:
                # Gone meanwhile, or not ours to touch: no reason to stop the worker.
                log.warning("recording not handed over", error=type(error).__name__)
        if self._monotonic() >= self._expiry_at:
            self._expiry_at = self._monotonic() + _EXPIRY_PERIOD_S
            self._expire()
            await self._forget_erased()

    def _complete(self) -> list[Path]:
        return [path for path in sorted(self._folder.glob("*.wav")) if _is_complete(path)]

    async def _hand_over(self, path: Path) -> None:
        waiting = self._waiting.get(path)
        if waiting is None:
            offer = await asyncio.to_thread(_offer_of, path)
            if offer is None:
                self._discard_empty(path)
                return
            waiting = self._waiting[path] = _Waiting(offer)
        try:
            await self._send(path, waiting.offer)
        except Refused as error:
            self._on_refused(path, waiting, error)
        except (SidecarError, StorageRefused, httpx.TransportError) as error:
            self._retry_later(waiting, error)
        else:
            self._put_away(path, STORED)
            log.info("recording handed over", call_id=_call_id_of(path))

    async def _send(self, path: Path, offer: RecordingOffer) -> None:
        call_id = _call_id_of(path)
        target = await self._client.offer_recording(call_id, offer)
        if not target.url:
            await self._client.put_recording(call_id, path, offer)
            return
        await self._put(path, offer, target)
        await self._client.confirm_recording(call_id, offer, target.key)

    async def _put(self, path: Path, offer: RecordingOffer, target: RecordingTarget) -> None:
        length = {"Content-Length": str(offer.size_bytes)}
        answer = await self._storage.put(
            target.url, content=file_chunks(path), headers=target.headers | length
        )
        if not answer.is_success:
            code = _CODE.search(answer.content[:2048])
            name = code[1].decode() if code else answer.reason_phrase
            raise StorageRefused(f"{answer.status_code} {name}")

    def _on_refused(self, path: Path, waiting: _Waiting, error: Refused) -> None:
        if error.code == _LIVE:
            waiting.due_at = self._monotonic() + _LIVE_PAUSE_S
        elif error.code == _ERASED:
            path.unlink(missing_ok=True)
            log.info("recording of an erased call deleted", call_id=_call_id_of(path))
        elif error.code in _UNWANTED:
            self._put_away(path, REFUSED)
            log.warning("recording refused; kept for a day", code=error.code)
        else:
            self._retry_later(waiting, error)

    def _retry_later(self, waiting: _Waiting, error: Exception) -> None:
        pause_s = min(_FIRST_PAUSE_S * 2**waiting.tries, _LAST_PAUSE_S)
        waiting.tries = min(waiting.tries + 1, 16)
        waiting.due_at = self._monotonic() + pause_s * self._spread()
        what = str(error) if isinstance(error, StorageRefused) else type(error).__name__
        if isinstance(error, Refused):
            what = error.code
        log.warning("recording not handed over yet", error=what, tries=waiting.tries)

    def _put_away(self, path: Path, where: str) -> None:
        if self._keep_s[where] <= 0:
            path.unlink(missing_ok=True)
            return
        folder = self._folder / where
        folder.mkdir(exist_ok=True)
        path.rename(folder / path.name)

    def _discard_empty(self, path: Path) -> None:
        if self._now() - path.stat().st_mtime > _EMPTY_AGE_S:
            path.unlink(missing_ok=True)
            log.warning("empty recording deleted")

    def _expire(self) -> None:
        """Delete what was kept long enough, counted from its last audio."""
        for where, keep_s in self._keep_s.items():
            for path in (self._folder / where).glob("*.wav"):
                try:
                    if self._now() - path.stat().st_mtime > keep_s:
                        path.unlink(missing_ok=True)
                except OSError as error:
                    log.warning("recording not deleted", error=type(error).__name__)

    async def _forget_erased(self) -> None:
        """Delete what was kept of calls that have been erased meanwhile."""
        kept = [path for where in self._keep_s for path in (self._folder / where).glob("*.wav")]
        for some in (
            kept[start : start + _ASK_AT_ONCE] for start in range(0, len(kept), _ASK_AT_ONCE)
        ):
            try:
                erased = await self._client.erased([_call_id_of(path) for path in some])
                for path in some:
                    if _call_id_of(path) in erased:
                        path.unlink(missing_ok=True)
            except (SidecarError, OSError) as error:
                log.warning("erased recordings not looked for", error=type(error).__name__)
                return


def _is_complete(path: Path) -> bool:
    try:
        return _NAME.fullmatch(path.name) is not None and not is_being_written(path)
    except OSError:
        return False


def _call_id_of(path: Path) -> str:
    return path.stem.rpartition(".")[0]


def _offer_of(path: Path) -> RecordingOffer | None:
    """Return what a file is, its header mended; None if there is nothing in it."""
    wav = mend(path)
    if wav is None or not wav.frames:
        return None
    digest = hashlib.sha256()
    for chunk in _blocks(path):
        digest.update(chunk)
    return RecordingOffer(
        incarnation=int(path.stem.rpartition(".")[2]),
        duration_s=wav.duration_s,
        size_bytes=wav.size_bytes,
        sha256=digest.hexdigest(),
    )


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(256 * 1024):
            yield block
