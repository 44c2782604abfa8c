"""`voicefleet.follow`: one call picked out of the stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from contracts.event import Event, EventType
from voicefleet.follow import Follower

AT = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)


def event(type_: EventType, subject: str = "c-1", at_s: float = 0.0, **data: object) -> Event:
    return Event(
        id="e",
        type=type_,
        subject=subject,
        time=AT + timedelta(seconds=at_s),
        sequence=1,
        data=data,
    )


PLANNED = event(EventType.CALL_PLANNED, session_id="s-1")
ANSWERED = event(EventType.NOTICE, at_s=1, type="leg_answered")
RESULT = event(EventType.CALL_RESULT, session_id="s-1", disconnected_by="bot")


async def stream(*events: Event, failure: Exception | None = None) -> AsyncIterator[Event]:
    for each in events:
        yield each
    if failure is not None:
        raise failure


def bot_line(text: str) -> Event:
    return event(EventType.TRANSCRIPT, speaker="bot", text=text)


async def test_only_our_call_is_shown_with_times_since_the_answer() -> None:
    shown: list[tuple[EventType, float]] = []
    follower = Follower("s-1", lambda event, at_s: shown.append((event.type, at_s)))
    await follower.follow(
        stream(
            event(EventType.CALL_PLANNED, "c-0", session_id="s-0"),
            event(EventType.TRANSCRIPT, "c-0", speaker="bot", text="not ours"),
            PLANNED,
            ANSWERED,
            event(EventType.TRANSCRIPT, at_s=3.5, speaker="bot", text="Hello."),
        )
    )
    assert follower.call_id == "c-1"
    assert shown == [
        (EventType.CALL_PLANNED, 0.0),
        (EventType.NOTICE, 0.0),
        (EventType.TRANSCRIPT, 2.5),
    ]


async def test_result_is_handed_out() -> None:
    follower = Follower("s-1", lambda *_: None)
    await follower.follow(stream(PLANNED, event(EventType.RECORDING), RESULT))
    assert (await follower.result())["disconnected_by"] == "bot"
    assert follower.recorded.is_set()


async def test_stream_that_breaks_off_fails_the_result() -> None:
    follower = Follower("s-1", lambda *_: None)
    await follower.follow(stream(PLANNED, failure=OSError("gone")))
    with pytest.raises(ConnectionError, match="broke off") as caught:
        await follower.result()
    assert isinstance(caught.value.__cause__, OSError)


async def test_line_is_waited_for_in_any_case_of_letters() -> None:
    follower = Follower("s-1", lambda *_: None)
    waiting = asyncio.create_task(follower.wait_for_line(r"your\s+name"))
    await follower.follow(stream(PLANNED, bot_line("Hello."), bot_line("May I have YOUR NAME?")))
    await asyncio.wait_for(waiting, 5)


async def test_lines_before_the_mark_do_not_count() -> None:
    follower = Follower("s-1", lambda *_: None)
    await follower.follow(stream(PLANNED, bot_line("Your name?")))
    await asyncio.wait_for(follower.wait_for_line("name"), 5)
    follower.mark()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(follower.wait_for_line("name"), 0.01)
