"""`contracts.plan`: the two halves of a plan survive the wire."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import BaseModel, ValidationError

from contracts.bot import BotConfig
from contracts.ids import Channel
from contracts.plan import AgentPlan, Claim, HistoryLine, Plan, PlanRequest

AT = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
REQUEST = PlanRequest(
    channel=Channel.WEBSOCKET,
    bot_id="desk",
    caller_id="+911234567890",
    did="+910987654321",
    call_direction="outgoing",
    stream_id="st-1",
    connected_event={"callId": "1", "nested": {"a": [1]}},
    idempotency_key="k-1",
    presented_token="t",
    peer_ip="127.0.0.1",
    bridge_id="b-1",
    answered=True,
    seats=["s-1"],
)
PLAN = Plan(
    call_id="c-1",
    session_id="s-1",
    room_name="ws-c-1",
    livekit_url="ws://127.0.0.1:7880",
    token="jwt",
    caller_identity="caller-c-1",
    standby_id="s-1",
)
AGENT_PLAN = AgentPlan(
    call_id="c-1",
    session_id="s-1",
    incarnation=2,
    channel=Channel.WEBSOCKET,
    call_direction="incoming",
    caller_identity="caller-c-1",
    config=BotConfig(bot_id="desk", opening_message="Hello."),
    variables={"call.callerId": "1"},
    history=[HistoryLine(speaker="bot", text="Hello."), HistoryLine(speaker="customer", text="Hi")],
    opening_is_fixed=True,
    is_seated=True,
    answered_at=AT,
)


@pytest.mark.parametrize(
    "model", [REQUEST, PLAN, AGENT_PLAN, Claim(incarnation=1, worker_id="w-1")]
)
def test_model_round_trips_through_json(model: BaseModel) -> None:
    assert type(model).model_validate_json(model.model_dump_json()) == model


def test_caller_audio_is_8_khz_unless_said_otherwise() -> None:
    assert (PLAN.media_rate_hz, AGENT_PLAN.media_rate_hz) == (8000, 8000)


@pytest.mark.parametrize("model", [PLAN, AGENT_PLAN])
def test_plan_is_frozen(model: BaseModel) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        model.call_id = "other"  # type: ignore[attr-defined]


def test_incarnations_count_from_one() -> None:
    with pytest.raises(ValidationError):
        Claim(incarnation=0, worker_id="w-1")


def test_history_knows_two_speakers() -> None:
    with pytest.raises(ValidationError):
        HistoryLine.model_validate({"speaker": "system", "text": "x"})


@pytest.mark.parametrize(
    ("channel", "answered", "is_awaited"),
    [
        (Channel.WEBSOCKET, True, True),
        (Channel.SIP, False, False),
        (Channel.WEB, False, True),
    ],
)
def test_only_phones_that_ring_wait_for_nobody(
    channel: Channel, answered: bool, is_awaited: bool
) -> None:
    asked = REQUEST.model_copy(update={"channel": channel, "answered": answered})
    assert asked.is_awaited is is_awaited
