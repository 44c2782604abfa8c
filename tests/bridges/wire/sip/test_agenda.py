"""Alarms: in order, once, and gone when cancelled."""

from __future__ import annotations

from bridges.wire.sip.agenda import Agenda


def test_alarms_go_off_in_order_and_once() -> None:
    agenda, rung = Agenda(), list[tuple[str, float]]()
    agenda.at(2.0, lambda now: rung.append(("b", now)))
    agenda.at(1.0, lambda now: rung.append(("a", now)))
    agenda.at(2.0, lambda now: rung.append(("c", now)))
    agenda.at(9.0, lambda now: rung.append(("d", now)))

    assert agenda.deadline() == 1.0
    agenda.expire(0.5)
    assert rung == []
    agenda.expire(3.0)
    assert rung == [("a", 3.0), ("b", 3.0), ("c", 3.0)]
    assert agenda.deadline() == 9.0


def test_cancelled_alarm_is_silent() -> None:
    agenda, rung = Agenda(), list[float]()
    first, second = agenda.at(1.0, rung.append), agenda.at(2.0, rung.append)
    first.cancel()
    first.cancel()

    assert agenda.deadline() == 2.0
    agenda.expire(2.0)
    second.cancel()
    assert rung == [2.0]
    assert agenda.deadline() is None


def test_alarm_may_cancel_another_that_is_due() -> None:
    agenda, rung = Agenda(), list[float]()
    second = agenda.at(2.0, rung.append)
    agenda.at(1.0, lambda _now: second.cancel())

    agenda.expire(5.0)

    assert rung == []


def test_alarm_that_sets_itself_anew_waits_for_the_next_turn() -> None:
    agenda, rung = Agenda(), list[float]()

    def again(now: float) -> None:
        rung.append(now)
        agenda.at(now, again)

    agenda.at(1.0, again)
    agenda.expire(1.0)
    assert rung == [1.0]
    agenda.expire(1.0)
    assert rung == [1.0, 1.0]


def test_cancelled_alarms_do_not_pile_up() -> None:
    agenda, rung = Agenda(), list[float]()
    agenda.at(5.0, rung.append)
    for _ in range(10_000):
        agenda.at(9.0, rung.append).cancel()

    assert len(agenda) < 200
    agenda.expire(10.0)
    assert rung == [10.0]
