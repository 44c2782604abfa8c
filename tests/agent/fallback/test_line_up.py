"""Who is asked next."""

from __future__ import annotations

import pytest
from livekit.agents import APIConnectionError, APIStatusError

from agent.failure import EnginesLost, Silent
from agent.fallback.line_up import LineUp, Switched


class Engine:
    """Nothing but an identity."""

    def __init__(self) -> None:
        self.is_closed = False

    async def aclose(self) -> None:
        self.is_closed = True


class Clocked:
    """A line-up of engines by name, a clock, and what was told."""

    def __init__(self, *names: str) -> None:
        self.now = 100.0
        self.told: list[Switched] = []
        self.line_up = LineUp(
            "llm", [(name, Engine()) for name in names], cool_down_s=30, now=lambda: self.now
        )
        self.line_up.listener = self.told.append

    def name_of(self, engine: Engine) -> str:
        return next(each.name for each in self.line_up.members if each.engine is engine)

    def ask(self, *outcomes: Exception | None) -> list[str]:
        """Ask until an outcome is None; return who was asked."""
        attempts, asked = self.line_up.attempts(), []
        script = iter(outcomes)
        for engine in attempts:
            asked.append(self.name_of(engine))
            if (error := next(script)) is None:
                attempts.succeed()
                break
            attempts.fail(error)
        return asked


LOST = APIConnectionError("gone")


def test_next_one_is_asked_and_the_first_is_passed_over_until_it_has_cooled_down() -> None:
    calls = Clocked("a", "b", "c")
    assert calls.ask(LOST, LOST, None) == ["a", "b", "c"]
    assert calls.ask(None) == ["c"]
    calls.now += 31
    assert calls.ask(None) == ["a"]


def test_cool_down_grows_with_each_failure_and_ends_with_success() -> None:
    calls = Clocked("a", "b")
    calls.ask(LOST, None)
    calls.now += 31
    assert calls.ask(LOST, None) == ["a", "b"]
    calls.now += 31
    assert calls.ask(None) == ["b"]
    calls.now += 30
    assert calls.ask(None) == ["a"]
    calls.ask(LOST, None)
    calls.now += 31
    assert calls.ask(None) == ["a"]


def test_lone_engine_is_asked_twice_after_a_pause() -> None:
    line_up = Clocked("a").line_up
    attempts = line_up.attempts()
    asking = iter(attempts)
    next(asking)
    assert attempts.pause_s == 0.0
    assert attempts.patience_s(2.5) == 2.5
    attempts.fail(LOST)
    next(asking)
    assert attempts.pause_s > 0.0
    assert attempts.patience_s(2.5) == 5.0, "nobody comes after it"
    attempts.fail(LOST)
    with pytest.raises(EnginesLost, match="Engine lost the connection"):
        next(asking)


def test_engine_that_refuses_is_not_asked_again() -> None:
    calls = Clocked("a")
    refused = APIStatusError("no", status_code=401)
    with pytest.raises(EnginesLost, match="Engine answered 401"):
        calls.ask(refused)
    pair = Clocked("a", "b")
    pair.ask(refused, None)
    pair.now += 3600
    assert pair.ask(None) == ["b"]
    assert pair.line_up.better is None


def test_those_who_rest_are_asked_where_nobody_else_is_left() -> None:
    calls = Clocked("a", "b")
    calls.ask(LOST, None)
    assert calls.ask(LOST, None) == ["b", "a"]


def test_each_switch_is_told_with_its_reason_and_the_time_it_took() -> None:
    calls = Clocked("a", "b")
    attempts = calls.line_up.attempts()
    asking = iter(attempts)
    next(asking)
    calls.now += 2.5
    attempts.fail(Silent("nothing for 2.5 s"))
    next(asking)
    attempts.succeed()
    [told] = calls.told
    assert told == Switched("llm", "a", "b", "Engine gave nothing for 2.5 s", 2500)
    calls.ask(None)
    assert len(calls.told) == 1, "b is asked as before"


def test_what_is_left_of_a_wait_is_shared_with_those_to_come() -> None:
    attempts = Clocked("a", "b", "c").line_up.attempts()
    asked = iter(attempts)
    next(asked)
    assert attempts.patience_s(2.5, 8.0) == 2.5
    assert attempts.patience_s(2.5, 2.0) == 1.0
    attempts.fail(Silent("nothing"))
    next(asked)
    assert attempts.patience_s(2.5, 0.2) == 0.5, "so long is everybody given"
    assert attempts.patience_s(0.3, 0.2) == 0.3
    attempts.fail(Silent("nothing"))
    next(asked)
    assert attempts.patience_s(2.5, 3.0) == 3.0


def test_one_who_is_none_of_them_may_stand_in() -> None:
    clocked = Clocked("a")
    clocked.line_up.stand_in("offline", "Voice gave no sound", 1.5)
    assert clocked.told == [Switched("llm", "a", "offline", "Voice gave no sound", 1500)]
    assert clocked.line_up.current.name == "a"
    clocked.line_up.listener = None
    clocked.line_up.stand_in("offline", "again", 0.0)


def test_return_to_the_first_is_told_too() -> None:
    calls = Clocked("a", "b")
    calls.ask(LOST, None)
    calls.now += 31
    calls.ask(None)
    assert [(each.left, each.taken) for each in calls.told] == [("a", "b"), ("b", "a")]
    assert calls.told[-1].why == "rested long enough"


def test_one_that_is_preferred_is_better_once_it_is_in_order() -> None:
    calls = Clocked("a", "b")
    assert calls.line_up.better is None
    calls.ask(LOST, None)
    assert calls.line_up.better is None
    calls.now += 31
    assert calls.line_up.better is calls.line_up.members[0]


def test_renewed_attempts_begin_at_the_top() -> None:
    calls = Clocked("a", "b")
    attempts = calls.line_up.attempts(rounds=2)
    asking = iter(attempts)
    asked = [calls.name_of(next(asking))]
    attempts.fail(LOST)
    asked.append(calls.name_of(next(asking)))
    calls.now += 31
    attempts.renew()
    asked.append(calls.name_of(next(asking)))
    assert asked == ["a", "b", "a"]


async def test_all_are_closed() -> None:
    line_up = Clocked("a", "b").line_up
    await line_up.aclose()
    assert all(engine.is_closed for engine in line_up.engines)
