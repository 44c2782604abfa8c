"""Calls both ways through signalling, with a real `sipp` at the far end."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridges.sip import ipc
from tests.bridges.sip.exchange import exchange
from tests.fakes import sipp
from tests.fakes.sipp_script import (
    answered,
    hung_up_by_caller,
    pause,
    scenario,
)

TRANSPORTS = pytest.mark.parametrize("transport", ["u1", "t1"])


@TRANSPORTS
async def test_call_is_answered_and_hung_up_by_its_caller(tmp_path: Path, transport: str) -> None:
    script = scenario(answered(), pause(50), hung_up_by_caller())
    async with (
        exchange(tmp_path / "state") as running,
        sipp.running(
            script, tmp_path, "-s", "+914422220000", to=running.port, transport=transport
        ) as phone,
    ):
        await phone.succeeds()
        over = await running.media.hear(ipc.Over)
        assert over.how == "bye"
        assert running.media.kinds() == ["incoming", "acked", "over"]
        incoming = await running.media.hear(ipc.Incoming)
        assert (incoming.did, incoming.caller) == ("+914422220000", "1001")
        assert incoming.sdp is not None
        assert "PCMA/8000" in incoming.sdp
        assert running.store.left() == []
        assert len(running.board.legs) == 0
