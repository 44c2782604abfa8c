"""The sidecar's figures: what they count, and that nobody can make them grow without end."""

from __future__ import annotations

import pytest

from contracts.outcome import Reason
from contracts.report import LegAnswered, LegDialled, Source, TurnMeasured
from sidecar.denial import Denied
from sidecar.metrics import MAX_BOTS, Metrics
from sidecar.store import trunks
from tests.fakes.control_plane import START, ControlPlane
from tests.fakes.dial_desk import DialDesk


def turn(response_ms: float | None = 450, **stages: float) -> TurnMeasured:
    return TurnMeasured(at=START, turn=1, response_ms=response_ms, **stages)


async def lines(metrics: Metrics) -> list[str]:
    return (await metrics.exposition()).decode().splitlines()


async def test_calls_are_counted_by_state_and_by_ending(plane: ControlPlane) -> None:
    await plane.ready()
    ended = await plane.talking("k1")
    await plane.end(ended)
    await plane.talking("k2")
    await plane.plan("k3")
    shown = await lines(plane.metrics)
    assert 'sidecar_live_calls{state="talking"} 1.0' in shown
    assert 'sidecar_live_calls{state="planned"} 1.0' in shown
    assert 'sidecar_live_calls{state="ringing"} 0.0' in shown
    assert 'sidecar_calls_ended_total{reason="caller_hung_up"} 1.0' in shown
    assert 'sidecar_calls_ended_total{reason="no_agent"} 0.0' in shown
    assert 'sidecar_dials_ended_total{outcome="answered"} 0.0' in shown


async def test_dials_are_counted_by_state_and_by_outcome(plane: ControlPlane) -> None:
    desk = DialDesk(plane)
    await desk.ready(channels=5, burst=5)
    await desk.order()
    busy, answered = await desk.due(), await desk.due()
    shown = await lines(plane.metrics)
    assert 'sidecar_dials{state="waiting"} 1.0' in shown
    assert 'sidecar_dials{state="ready"} 2.0' in shown
    assert 'sidecar_trunk_calls{trunk_id="t1"} 3.0' in shown
    assert 'sidecar_trunk_channels{trunk_id="t1"} 5.0' in shown
    await desk.take()
    assert 'sidecar_dials{state="claimed"} 2.0' in await lines(plane.metrics)
    now = plane.clock()
    await desk.tell(answered, LegDialled(at=now), LegAnswered(at=now))
    await plane.calls.finish(await plane.row(answered), Reason.BOT_ENDED)
    await plane.calls.finish(await plane.row(busy), Reason.BUSY)
    shown = await lines(plane.metrics)
    assert 'sidecar_dials{state="claimed"} 0.0' in shown
    assert 'sidecar_dials_ended_total{outcome="answered"} 1.0' in shown
    assert 'sidecar_dials_ended_total{outcome="busy"} 1.0' in shown
    assert 'sidecar_dials_ended_total{outcome="bot_ended"} 0.0' in shown
    assert 'sidecar_trunk_calls{trunk_id="t1"} 1.0' in shown


async def test_calls_that_wait_are_counted_and_for_how_long(plane: ControlPlane) -> None:
    desk = DialDesk(plane)
    metrics = Metrics(plane.database, plane.clock)
    await desk.ready(channels=1)
    assert "sidecar_queue_oldest_seconds 0.0" in await lines(metrics)
    for _ in range(2):
        await desk.wish()
        plane.clock.advance(30)
    shown = await lines(metrics)
    assert 'sidecar_queue_calls{state="pending"} 2.0' in shown
    assert 'sidecar_queue_calls{state="dispatching"} 0.0' in shown
    assert "sidecar_queue_oldest_seconds 60.0" in shown


async def test_trunk_that_is_removed_has_no_figures(plane: ControlPlane) -> None:
    await DialDesk(plane).ready()
    assert 'sidecar_trunk_calls{trunk_id="t1"} 0.0' in await lines(plane.metrics)
    async with plane.database.transaction() as connection:
        await trunks.remove(connection, "default", "t1")
    assert not any(line.startswith("sidecar_trunk_calls{") for line in await lines(plane.metrics))


async def test_call_whose_time_was_up_is_counted_by_its_reason(plane: ControlPlane) -> None:
    await plane.ready()
    seen = await plane.row(await plane.talking("k1"))
    assert await plane.calls.finish(seen, Reason.AGENT_LOST)
    assert not await plane.calls.finish(seen, Reason.AGENT_LOST)
    shown = await lines(plane.metrics)
    assert 'sidecar_calls_ended_total{reason="agent_lost"} 1.0' in shown


async def test_call_that_was_refused_and_kept_is_counted(plane: ControlPlane) -> None:
    await plane.ready(active_hours={"enabled": True, "days": []})
    with pytest.raises(Denied):
        await plane.plan("k1")
    shown = await lines(plane.metrics)
    assert 'sidecar_calls_ended_total{reason="outside_hours"} 1.0' in shown


async def test_announcements_not_delivered_are_counted(plane: ControlPlane) -> None:
    await plane.ready()
    await plane.end(await plane.talking("k1"))
    shown = await lines(plane.metrics)
    assert 'sidecar_deliveries{state="pending"} 1.0' in shown
    assert 'sidecar_deliveries{state="dead"} 0.0' in shown
    assert 'sidecar_deliveries{state="parked"} 0.0' in shown


async def test_oldest_announcement_that_waits_shows_its_age(plane: ControlPlane) -> None:
    metrics = Metrics(plane.database, plane.clock)
    assert "sidecar_delivery_oldest_pending_seconds 0.0" in await lines(metrics)
    await plane.ready()
    await plane.end(await plane.talking("k1"))
    plane.clock.advance(90)
    assert "sidecar_delivery_oldest_pending_seconds 90.0" in await lines(metrics)
    plane.clock.advance(-180)
    assert "sidecar_delivery_oldest_pending_seconds 0.0" in await lines(metrics)


async def test_attempts_to_deliver_are_counted_from_the_start(plane: ControlPlane) -> None:
    for status_code in (204, 302, 500, None):
        plane.metrics.delivery_attempted(status_code)
    shown = await lines(plane.metrics)
    for outcome, count in (("delivered", 1), ("refused", 2), ("failed", 1)):
        assert f'sidecar_delivery_attempts_total{{outcome="{outcome}"}} {count}.0' in shown


async def test_turns_are_counted_by_bot_and_by_stage_once_each(plane: ControlPlane) -> None:
    await plane.ready()
    call_id = await plane.talking("k1")
    for _ in range(2):
        await plane.report(call_id, Source.AGENT, 3, turn(450, stt_ms=150))
    shown = await lines(plane.metrics)
    desk = '{bot_id="desk",tenant_id="default"}'
    assert f"sidecar_turn_response_seconds_count{desk} 1.0" in shown
    assert f"sidecar_turn_response_seconds_sum{desk} 0.45" in shown
    assert (
        'sidecar_turn_response_seconds_bucket{bot_id="desk",le="0.4",tenant_id="default"} 0.0'
        in (shown)
    )
    assert 'sidecar_turn_stage_seconds_count{stage="stt"} 1.0' in shown
    assert 'sidecar_turn_stage_seconds_count{stage="tool"} 0.0' in shown


async def test_turn_without_a_known_wait_counts_for_its_stages_alone(plane: ControlPlane) -> None:
    plane.metrics.recorded("default", "desk", [turn(None, llm_ttft_ms=200)])
    shown = await lines(plane.metrics)
    assert not [line for line in shown if line.startswith("sidecar_turn_response_seconds_count")]
    assert 'sidecar_turn_stage_seconds_count{stage="llm_ttft"} 1.0' in shown


async def test_ten_thousand_bots_share_what_the_first_left(plane: ControlPlane) -> None:
    for number in range(10_000):
        plane.metrics.recorded("default", f"bot-{number}", [turn()])
    shown = await lines(plane.metrics)
    counts = [line for line in shown if line.startswith("sidecar_turn_response_seconds_count")]
    assert len(counts) == MAX_BOTS + 1
    (others,) = [line for line in counts if "_others" in line]
    assert others.endswith(f" {10_000 - MAX_BOTS}.0")
