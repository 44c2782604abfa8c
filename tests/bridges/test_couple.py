"""Two legs, every ending, and the closing order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bridges import couple as couple_module
from bridges.clock import Clock
from bridges.couple import couple
from bridges.ending import Ending
from bridges.leg import Offered
from bridges.report import CallReport
from contracts.command import HangUp
from contracts.ids import Channel
from contracts.media import Finished, Heard, Speech
from contracts.outcome import Reason
from contracts.plan import PlanRequest
from contracts.report import LegAnswered
from sidecar.client import Spool
from tests.fakes.leg import AT, FakeLeg
from tests.fakes.sidecar import FakeSidecar

OFFER = Offered("1", "2", "incoming", "s", {"streamId": "s"})
IN_ORDER = [
    "carrier hang_up",
    "room hang_up",
    "carrier stopped",
    "room stopped",
    "carrier close",
    "room close",
]


def plan_request(offered: Offered) -> PlanRequest:
    return PlanRequest(
        channel=Channel.WEBSOCKET,
        bot_id="desk",
        caller_id=offered.caller_id,
        stream_id=offered.stream_id,
        idempotency_key="k",
    )


@dataclass
class Call:
    """A call between two fakes, planned and running."""

    sidecar: FakeSidecar
    report: CallReport
    carrier: FakeLeg
    room: FakeLeg
    diary: list[str] = field(default_factory=list)
    clip: bytes = b""
    task: asyncio.Task[Ending] | None = None

    async def start(self, *, planned: bool = True) -> asyncio.Task[Ending]:
        calling = couple(self.carrier, self.room, self.report, Clock(), clip=self.clip)
        self.task = asyncio.create_task(calling)
        await self.carrier.running.wait()
        await self.room.running.wait()
        if planned:
            await self.report.plan(OFFER)
        return self.task

    def ended(self) -> list[dict[str, Any]]:
        facts = [fact for facts in self.sidecar.facts.values() for fact in facts]
        return [fact.model_dump() for fact in facts if fact.type == "leg_ended"]


@pytest.fixture
async def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Call]:
    monkeypatch.setattr(couple_module, "STEP_TIMEOUT_S", 0.05)
    sidecar, diary = FakeSidecar(), list[str]()
    async with sidecar.client() as client:
        spool = Spool(tmp_path, "bridge", max_bytes=2**20)
        report = CallReport(client, plan_request, spool)
        yield Call(sidecar, report, FakeLeg("carrier", diary), FakeLeg("room", diary), diary)


async def test_what_one_leg_tells_the_other_accepts_and_facts_are_reported(call: Call) -> None:
    task = await call.start()
    heard, speech = Heard(40, 0, 0, b""), Speech(1, b"")

    call.carrier.tell(OFFER)
    call.carrier.tell(LegAnswered(at=AT))
    call.carrier.tell(heard)
    call.room.tell(speech)
    call.room.tell(HangUp())
    call.carrier.end(Reason.BOT_ENDED)
    await task

    assert call.room.accepted == [OFFER, LegAnswered(at=AT), heard]
    assert call.carrier.accepted == [speech, HangUp()]
    assert call.sidecar.names(call.report.call_id) == ["leg_answered", "leg_ended"]


@pytest.mark.parametrize(
    ("side", "reason"),
    [
        ("carrier", Reason.BOT_ENDED),
        ("carrier", Reason.TRANSFERRED),
        ("carrier", Reason.CALLER_HUNG_UP),
        ("carrier", Reason.CALLER_DISCONNECTED),
        ("carrier", Reason.PROTOCOL_BROKEN),
        ("carrier", Reason.HANDSHAKE_TIMEOUT),
        ("carrier", Reason.MEDIA_TIMEOUT),
        ("carrier", Reason.PEER_STALLED),
        ("room", Reason.ROOM_LOST),
        ("room", Reason.AGENT_LOST),
        ("room", Reason.NO_AGENT),
        ("room", Reason.MAX_DURATION),
    ],
)
async def test_every_ending_of_either_side_closes_in_order_and_is_reported_once(
    call: Call, side: str, reason: Reason
) -> None:
    task = await call.start()

    (call.carrier if side == "carrier" else call.room).end(reason)
    ending = await task

    assert ending.reason is reason
    assert call.carrier.ending == call.room.ending == ending
    assert sorted(call.diary) == sorted(IN_ORDER)
    assert [line for line in call.diary if "stopped" not in line] == [
        line for line in IN_ORDER if "stopped" not in line
    ]
    (reported,) = call.ended()
    assert (reported["reason"], reported["at"]) == (reason, AT)
    assert reported["stats"]["carrier_frames"] == reported["stats"]["room_frames"] == 7


async def test_caller_hears_our_apology_before_the_line_drops(call: Call) -> None:
    call.clip = bytes(320)
    task = await call.start()
    call.carrier.tell(LegAnswered(at=AT))
    call.room.end(Reason.AGENT_LOST)
    await call.carrier.took(Speech(1, bytes(320)))
    assert "carrier hang_up" not in call.diary
    call.carrier.tell(Finished(1, 160, interrupted=False))
    assert (await task).reason is Reason.AGENT_LOST
    assert [line for line in call.diary if "stopped" not in line] == [
        line for line in IN_ORDER if "stopped" not in line
    ]


async def test_call_that_was_never_planned_is_refused_without_a_word(call: Call) -> None:
    call.clip = bytes(320)
    task = await call.start(planned=False)
    call.carrier.tell(LegAnswered(at=AT))
    call.room.end(Reason.NO_AGENT)
    await task
    assert call.carrier.accepted == []


@pytest.mark.parametrize("first", ["carrier", "room"])
async def test_first_of_two_endings_wins(call: Call, first: str) -> None:
    task = await call.start()
    early, late = (call.carrier, call.room) if first == "carrier" else (call.room, call.carrier)

    late.end(Reason.ROOM_LOST, AT + timedelta(milliseconds=1))
    early.end(Reason.CALLER_HUNG_UP, AT)

    assert (await task).reason is Reason.CALLER_HUNG_UP


@pytest.mark.parametrize("side", ["carrier", "room"])
@pytest.mark.parametrize("step", ["hang_up", "close"])
@pytest.mark.parametrize("trouble", ["hangs_in", "fails_in"])
async def test_step_that_hangs_or_fails_keeps_nothing_else_from_closing(
    call: Call, side: str, step: str, trouble: str
) -> None:
    setattr(call.carrier if side == "carrier" else call.room, trouble, step)
    task = await call.start()

    call.carrier.end(Reason.CALLER_HUNG_UP)
    await task

    assert sorted(call.diary) == sorted(IN_ORDER)
    assert len(call.ended()) == 1


@pytest.mark.parametrize("side", ["carrier", "room"])
async def test_bug_in_a_leg_ends_the_call_and_blames_us(call: Call, side: str) -> None:
    task = await call.start()

    (call.carrier if side == "carrier" else call.room).fail()
    ending = await task

    assert (ending.reason, ending.close_code) == (Reason.BRIDGE_LOST, 1011)
    assert ending.detail == f"{side}-leg: RuntimeError"
    assert len(call.ended()) == 1


async def test_cancelled_call_closes_in_order_and_is_reported(call: Call) -> None:
    task = await call.start()

    task.cancel()
    await asyncio.sleep(0)
    task.cancel()  # and again, in the middle of closing
    with pytest.raises(asyncio.CancelledError):
        await task

    assert sorted(call.diary) == sorted(IN_ORDER)
    assert [reported["reason"] for reported in call.ended()] == [Reason.BRIDGE_LOST]


async def test_carriers_side_says_what_the_rooms_ending_means(call: Call) -> None:
    def judge(ending: Ending) -> Ending:
        return replace(ending, reason=Reason.DIAL_ABORTED, sip_status_code=487)

    calling = couple(call.carrier, call.room, call.report, Clock(), judge=judge)
    task = asyncio.create_task(calling)
    await call.room.running.wait()
    await call.report.plan(OFFER)
    call.room.end(Reason.ROOM_LOST)

    assert (await task).reason is Reason.DIAL_ABORTED
    (reported,) = call.ended()
    assert (reported["reason"], reported["sip_status_code"]) == (Reason.DIAL_ABORTED, 487)
    assert call.carrier.ending is not None
    assert call.carrier.ending.sip_status_code == 487


async def test_call_never_offered_is_reported_to_nobody(call: Call) -> None:
    task = await call.start(planned=False)

    call.carrier.end(Reason.HANDSHAKE_TIMEOUT)
    await task

    assert call.sidecar.requests == []
    assert call.report.ended is not None
