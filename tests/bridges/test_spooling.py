"""What a bridge finds on its host's disk: handed in, and told of until then."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from bridges import fleet
from bridges.app import Bridge
from bridges.clock import Clock
from bridges.settings import Settings
from contracts.outcome import Reason
from contracts.report import LegEnded, Report, Source
from sidecar.client import Spool
from tests.fakes.leg import AT
from tests.fakes.sidecar import FakeSidecar


class BusySidecar(FakeSidecar):
    """Takes no reports until it is told to."""

    busy = True

    async def _report(self, call_id: str, report: Report) -> httpx.Response:
        if self.busy:
            return httpx.Response(503, json={"error": {"code": "locked", "message": "wait"}})
        return await super()._report(call_id, report)


async def test_what_an_earlier_bridge_left_is_handed_in_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "INTERVAL_S", 0.01)
    call_id = str(uuid4())
    left = Spool(tmp_path, "earlier", max_bytes=2**20).open(call_id, Source.BRIDGE, 1)
    left.append(LegEnded(at=AT, reason=Reason.CALLER_HUNG_UP).model_dump_json().encode())
    left.close()
    sidecar = BusySidecar()

    async def told(count: int) -> None:
        while not sidecar.heartbeats or sidecar.heartbeats[-1].spooled != count:  # noqa: ASYNC110 - a fake tells nobody
            await asyncio.sleep(0.01)

    settings = Settings(bridge_port=0, bridge_spool_dir=tmp_path)
    async with asyncio.timeout(10), sidecar.client() as client, Bridge(settings, client, Clock()):
        await told(1)
        assert sidecar.facts == {}
        sidecar.busy = False
        assert (await sidecar.ended(call_id)).reason is Reason.CALLER_HUNG_UP
        await told(0)
    assert sidecar.heartbeats[0].spooled == 1
    assert list(tmp_path.iterdir()) == []
