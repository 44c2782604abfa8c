"""Calls whose taking in fails for no foreseen cause: refused, and they keep no place."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridges.sip import ipc
from bridges.sip.inbound import Reception
from bridges.sip.media_link import MediaLink
from bridges.wire.sip.endpoint import Endpoint
from tests.bridges.sip.exchange import exchange
from tests.fakes import sipp
from tests.fakes.sipp_script import refused, scenario


@pytest.mark.parametrize(
    ("part", "step"), [(Reception, "receive"), (Endpoint, "ring"), (MediaLink, "send")]
)
async def test_call_that_nobody_can_take_in_is_refused_and_keeps_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: type, step: str
) -> None:
    usual = getattr(part, step)

    def fail(self: object, *given: object) -> object:
        if step != "send" or isinstance(given[0], ipc.Incoming):
            raise RuntimeError("not foreseen")
        return usual(self, *given)

    async with exchange(tmp_path / "state") as running:
        monkeypatch.setattr(part, step, fail)
        async with sipp.running(scenario(refused(500)), tmp_path, to=running.port) as phone:
            await phone.succeeds()
        assert len(running.board.legs) == 0
        assert running.board.idle.is_set()
