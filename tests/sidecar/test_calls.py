"""Claims, reports and endings: fenced, exactly once, earliest first; on both databases."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from contracts.call import CallState
from contracts.event import EventType
from contracts.outcome import Reason
from contracts.plan import Claim, HistoryLine
from contracts.report import (
    AgentEnded,
    ConversationStarted,
    LegAnswered,
    LegEnded,
    LegStarted,
    Noticed,
    RecordingStored,
    Source,
    TranscriptLine,
    TransferSent,
    TransferStarted,
)
from sidecar.denial import Code, Denied
from sidecar.store import deliveries, events
from sidecar.store.tables import DEFAULT_TENANT
from tests.fakes.control_plane import ControlPlane

A, B = Source.AGENT, Source.BRIDGE


async def raised(plane: ControlPlane, call_id: str) -> None:
    row = await plane.row(call_id)
    assert await plane.calls.raise_incarnation(row) == row.incarnation + 1


async def test_claim_hands_over_the_plan_and_stops_the_watchdog(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = (await plane.plan()).call_id
    plan = await plane.claim(call_id)
    assert plan.config.opening_message == "Hello Sam."
    assert plan.variables["call.customer_name"] == "Sam"
    assert plan.caller_identity == f"caller-{call_id}"
    row = await plane.row(call_id)
    assert (row.worker_id, row.claim_due_at) == ("w1", None)


async def test_claim_is_for_one_agent_and_repeatable_by_it(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = (await plane.plan()).call_id
    assert await plane.claim(call_id, worker_id="w1") == await plane.claim(call_id, worker_id="w1")
    with pytest.raises(Denied) as caught:
        await plane.claim(call_id, worker_id="w2")
    assert caught.value.code is Code.ALREADY_CLAIMED


async def test_one_of_many_claimants_wins(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = (await plane.plan()).call_id
    answers = await asyncio.gather(
        *(plane.claim(call_id, worker_id=f"w{number}") for number in range(5)),
        return_exceptions=True,
    )
    lost = [answer for answer in answers if isinstance(answer, Denied)]
    assert [denied.code for denied in lost] == [Code.ALREADY_CLAIMED] * 4


@pytest.mark.parametrize("incarnation", [1, 3])
async def test_claim_with_another_incarnation_is_refused(
    plane: ControlPlane, incarnation: int
) -> None:
    await plane.ready()
    call_id = (await plane.plan()).call_id
    await raised(plane, call_id)
    with pytest.raises(Denied) as caught:
        await plane.claim(call_id, incarnation)
    assert caught.value.code is Code.STALE_INCARNATION
    assert (await plane.row(call_id)).worker_id is None
    await plane.claim(call_id, 2)


async def test_claim_of_an_ended_or_unknown_call_is_refused(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = await plane.talking()
    await plane.end(call_id)
    for claimed, code in ((call_id, Code.CALL_ENDED), ("nobody", Code.CALL_UNKNOWN)):
        with pytest.raises(Denied) as caught:
            await plane.claim(claimed)
        assert caught.value.code is code


async def test_agent_that_takes_over_gets_the_conversation_so_far(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = await plane.talking()
    line = TranscriptLine(at=plane.clock(), speaker="customer", text="I have a question.")
    await plane.report(call_id, A, 3, line)
    plan = await plane.claim(call_id)
    assert plan.history == [HistoryLine(speaker="customer", text="I have a question.")]
    assert plan.answered_at == plane.clock()


async def test_report_with_an_old_incarnation_is_refused(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = (await plane.plan()).call_id
    await raised(plane, call_id)
    fact = Noticed(at=plane.clock(), name="late")
    with pytest.raises(Denied) as caught:
        await plane.report(call_id, A, 1, fact, incarnation=1)
    assert caught.value.code is Code.STALE_INCARNATION
    assert (await plane.report(call_id, A, 1, fact, incarnation=2)).applied_seq == 1


async def test_bridge_outlives_the_agents_of_its_call(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = (await plane.plan()).call_id
    await raised(plane, call_id)
    receipt = await plane.report(call_id, B, 1, LegStarted(at=plane.clock(), stream_id="s9"))
    assert receipt.applied_seq == 1
    assert (await plane.row(call_id)).stream_id == "s9"


async def test_repeated_report_has_no_effect(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = (await plane.plan()).call_id
    one, two = (Noticed(at=plane.clock(), name=name) for name in ("one", "two"))
    await plane.report(call_id, A, 1, one)
    assert (await plane.report(call_id, A, 1, one)).applied_seq == 1
    assert (await plane.report(call_id, A, 1, one, two)).applied_seq == 2
    async with plane.database.read() as connection:
        assert await events.facts(connection, "default", call_id) == [one, two]


async def test_same_report_twice_at_once_is_applied_once(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = (await plane.plan()).call_id
    fact = Noticed(at=plane.clock(), name="one")
    receipts = await asyncio.gather(*(plane.report(call_id, A, 1, fact) for _ in range(4)))
    assert {receipt.applied_seq for receipt in receipts} == {1}
    async with plane.database.read() as connection:
        assert len(await events.facts(connection, "default", call_id)) == 1


async def test_gap_is_refused_with_what_is_applied(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = (await plane.plan()).call_id
    with pytest.raises(Denied) as caught:
        await plane.report(call_id, B, 3, LegAnswered(at=plane.clock()))
    assert caught.value.code is Code.GAP
    assert caught.value.details == {"applied_seq": 0}


async def test_facts_move_the_call_through_its_states(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = await plane.talking()
    assert (await plane.row(call_id)).state is CallState.TALKING
    await plane.report(call_id, A, 3, TransferStarted(at=plane.clock(), destination="100"))
    assert (await plane.row(call_id)).state is CallState.TRANSFERRING
    async with plane.database.read() as connection:
        moves = await events.after(connection, "default", 0, types=[EventType.CALL_STATE])
    assert [move.data["state"] for move in moves] == ["answered", "talking", "transferring"]


async def test_conversation_reported_before_the_answer_counts_from_it(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = (await plane.plan()).call_id
    await plane.report(call_id, A, 1, ConversationStarted(at=plane.clock()))
    assert (await plane.row(call_id)).state is CallState.PLANNED
    await plane.report(call_id, B, 1, LegAnswered(at=plane.clock()))
    row = await plane.row(call_id)
    assert (row.state, row.illegal_events) == (CallState.TALKING, 0)


async def test_illegal_event_is_kept_and_counted(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = (await plane.plan()).call_id
    await plane.report(call_id, A, 1, TransferStarted(at=plane.clock(), destination="100"))
    row = await plane.row(call_id)
    assert (row.state, row.illegal_events) == (CallState.PLANNED, 1)
    async with plane.database.read() as connection:
        assert len(await events.facts(connection, "default", call_id)) == 1


async def test_call_ends_when_both_sides_have_said_so(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = await plane.talking()
    plane.clock.advance(12)
    await plane.report(call_id, B, 2, LegEnded(at=plane.clock(), reason=Reason.CALLER_HUNG_UP))
    assert await plane.result(call_id) is None
    await plane.report(call_id, A, 3, AgentEnded(at=plane.clock(), reason=Reason.CALLER_HUNG_UP))
    result = await plane.result(call_id)
    assert result is not None
    assert (result["disconnected_by"], result["call_duration_seconds"]) == ("customer", 12.0)
    assert (await plane.row(call_id)).state is CallState.ENDED


@pytest.mark.parametrize("agent_first", [True, False])
async def test_earliest_ending_wins_whoever_reports_first(
    plane: ControlPlane, agent_first: bool
) -> None:
    await plane.ready()
    call_id = await plane.talking()
    early, late = plane.clock() + timedelta(seconds=5), plane.clock() + timedelta(seconds=6)
    agent = (A, 3, AgentEnded(at=late, reason=Reason.BOT_ENDED))
    leg = (B, 2, LegEnded(at=early, reason=Reason.CALLER_HUNG_UP))
    for source, seq, fact in (agent, leg) if agent_first else (leg, agent):
        await plane.report(call_id, source, seq, fact)
    row = await plane.row(call_id)
    assert (row.end_reason, row.end_at) == (Reason.CALLER_HUNG_UP, early)


async def test_call_without_an_agent_ends_with_its_leg(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = (await plane.plan()).call_id
    gone = LegEnded(at=plane.clock(), reason=Reason.HANDSHAKE_TIMEOUT)
    await plane.report(call_id, B, 1, gone)
    row = await plane.row(call_id)
    assert (row.state, row.end_reason) == (CallState.ENDED, Reason.HANDSHAKE_TIMEOUT)


async def test_ending_announces_one_result_in_the_same_breath(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = await plane.talking()
    await plane.end(call_id)
    async with plane.database.read() as connection:
        (delivery,) = await deliveries.page(connection, "default")
        found = await events.after(connection, "default", 0, call_id=call_id)
    ended, result = found[-2:]
    assert [ended.type, result.type] == [EventType.CALL_ENDED, EventType.CALL_RESULT]
    assert delivery.delivery_id == f"{result.id}-webhook"
    assert delivery.url == "https://crm.example/results"
    assert delivery.body.startswith('{"session_id":')


async def test_both_sides_ending_at_once_end_the_call_once(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = await plane.talking()
    now = plane.clock()
    await asyncio.gather(
        plane.report(call_id, B, 2, LegEnded(at=now, reason=Reason.CALLER_HUNG_UP)),
        plane.report(call_id, A, 3, AgentEnded(at=now, reason=Reason.CALLER_HUNG_UP)),
    )
    assert (await plane.row(call_id)).state is CallState.ENDED
    async with plane.database.read() as connection:
        assert len(await deliveries.page(connection, "default")) == 1
        assert len(await events.facts(connection, "default", call_id)) == 5


async def test_bot_without_a_webhook_has_a_result_and_no_delivery(plane: ControlPlane) -> None:
    await plane.ready(webhook_url="")
    call_id = await plane.talking()
    await plane.end(call_id)
    assert await plane.result(call_id) is not None
    async with plane.database.read() as connection:
        assert await deliveries.page(connection, "default") == []


async def test_finish_is_exactly_once(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = await plane.talking()
    seen = await plane.row(call_id)
    finished = await asyncio.gather(
        *(plane.calls.finish(seen, Reason.BRIDGE_LOST) for _ in range(4))
    )
    assert sorted(finished) == [False, False, False, True]
    async with plane.database.read() as connection:
        assert len(await deliveries.page(connection, "default")) == 1


async def test_finish_by_a_row_that_has_moved_does_nothing(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = (await plane.plan()).call_id
    seen = await plane.row(call_id)
    await plane.claim(call_id)
    assert not await plane.calls.finish(seen, Reason.NO_AGENT)
    assert await plane.calls.raise_incarnation(seen) is None
    assert (await plane.row(call_id)).state is CallState.PLANNED


async def test_facts_after_the_end_are_kept_and_change_nothing(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = await plane.talking()
    await plane.end(call_id)
    before = await plane.result(call_id)
    late = RecordingStored(at=plane.clock(), key="k.wav", duration_s=1, size_bytes=2)
    assert (await plane.report(call_id, A, 4, late)).applied_seq == 4
    assert await plane.result(call_id) == before


async def test_secrets_leave_the_snapshot_with_the_end(plane: ControlPlane) -> None:
    await plane.ready(stt={"provider": "deepgram", "api_key": "sk-1"})
    call_id = await plane.talking()
    assert (await plane.claim(call_id)).config.stt.api_key == "sk-1"
    await plane.end(call_id)
    row = await plane.row(call_id)
    assert row.config is not None
    assert row.config["stt"]["api_key"] == "********"


async def test_call_never_answered_has_no_recording(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = (await plane.plan()).call_id
    await plane.report(call_id, B, 1, LegEnded(at=plane.clock(), reason=Reason.CALLER_HUNG_UP))
    result = await plane.result(call_id)
    assert result is not None
    assert result["recording_url"] is None


async def test_other_tenants_reach_no_call(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = await plane.talking()
    with pytest.raises(Denied) as caught:
        await plane.calls.claim("other", call_id, Claim(incarnation=1, worker_id="w1"))
    assert caught.value.code is Code.CALL_UNKNOWN


async def test_facts_of_a_leg_without_a_bridge_never_take_each_other_s_place(
    plane: ControlPlane,
) -> None:
    await plane.ready()
    call_id = (await plane.plan()).call_id
    now = plane.clock()
    names = [f"seen-{number}" for number in range(6)]
    notes = [Noticed(at=now, name=name) for name in names]
    await asyncio.gather(*(plane.calls.note(DEFAULT_TENANT, call_id, note) for note in notes))
    async with plane.database.read() as connection:
        found = await events.facts(connection, DEFAULT_TENANT, call_id)
    assert sorted(fact.name for fact in found if isinstance(fact, Noticed)) == names
    assert (await plane.row(call_id)).bridge_seq == len(names)


async def test_leg_without_a_bridge_ends_once_however_many_see_it(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = await plane.talking(channel="dialout", media="tracks")
    at = plane.clock.advance(1)
    started = TransferStarted(at=at, destination="+1", method="livekit_sip_refer")
    await plane.report(call_id, A, 3, started)
    through = LegEnded(at=at, reason=Reason.TRANSFERRED)
    await plane.calls.note(DEFAULT_TENANT, call_id, TransferSent(at=at), through)
    # LiveKit's word of the same line, by somebody who looked just before.
    closed = LegEnded(at=plane.clock.advance(1), reason=Reason.CALLER_HUNG_UP)
    receipt = await plane.calls.note(DEFAULT_TENANT, call_id, closed)
    assert receipt.applied_seq == (await plane.row(call_id)).bridge_seq
    await plane.report(call_id, A, 4, AgentEnded(at=plane.clock(), reason=Reason.TRANSFERRED))
    result = await plane.result(call_id)
    assert result is not None
    assert result["was_transferred"] is True
    assert [entry["event"] for entry in result["events"]].count("leg_ended") == 1
