"""The transaction table: each state and input, and the timers of RFC 3261's table 4."""

from __future__ import annotations

import pytest

from bridges.wire.sip.transaction import TRANSITIONS, Action, Input, Kind, State, Transaction

T1_S = 0.5


def fired(transaction: Transaction, seconds: float, now: float = 0.0) -> list[tuple[float, str]]:
    """Let time pass and return which timers went off, and when."""
    found = []
    end = now + seconds
    while (due := transaction.deadline()) is not None and due <= end:
        for event in transaction.pop_due(due):
            found.append((due - now, event.name))
            transaction.advance(event, due)
    return found


def a_transaction(kind: Kind, *inputs: Input, is_reliable: bool = False) -> Transaction:
    transaction = Transaction(kind, 0.0, is_reliable=is_reliable, t1_s=T1_S)
    for event in inputs:
        transaction.advance(event, 0.0)
    return transaction


def test_invite_is_sent_again_with_doubling_waits_until_timer_b() -> None:
    transaction = a_transaction(Kind.INVITE_CLIENT)

    times = fired(transaction, 100.0)

    assert times == [
        (0.5, "A"), (1.5, "A"), (3.5, "A"), (7.5, "A"), (15.5, "A"), (31.5, "A"), (32.0, "B"),
    ]  # fmt: skip
    assert transaction.state is State.TERMINATED
    assert transaction.deadline() is None


def test_other_requests_are_sent_again_every_t2_until_timer_f() -> None:
    times = [time for time, name in fired(a_transaction(Kind.CLIENT), 100.0) if name == "E"]
    assert times == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]


def test_timer_f_goes_on_after_a_provisional_response() -> None:
    transaction = a_transaction(Kind.CLIENT, Input.PROVISIONAL)
    times = fired(transaction, 100.0)
    assert times[0] == (4.0, "E")
    assert (32.0, "F") in times
    assert transaction.state is State.TERMINATED


def test_rejection_is_sent_again_until_its_ack() -> None:
    transaction = a_transaction(Kind.INVITE_SERVER, Input.FAILURE)
    assert fired(transaction, 4.0) == [(0.5, "G"), (1.5, "G"), (3.5, "G")]

    assert transaction.advance(Input.ACK, 4.0) == (Action.TELL,)

    assert transaction.state is State.CONFIRMED
    assert transaction.advance(Input.ACK, 4.0) == ()
    assert fired(transaction, 10.0, 4.0) == [(5.0, "I")]
    assert transaction.state.name == "TERMINATED"


def test_rejection_nobody_acknowledges_times_out() -> None:
    assert fired(a_transaction(Kind.INVITE_SERVER, Input.FAILURE), 50.0)[-1] == (32.0, "H")


@pytest.mark.parametrize(
    ("kind", "inputs", "timers"),
    [
        (Kind.INVITE_CLIENT, (), [(32.0, "B")]),
        (Kind.INVITE_CLIENT, (Input.PROVISIONAL,), []),
        (Kind.INVITE_CLIENT, (Input.FAILURE,), [(0.0, "D")]),
        (Kind.INVITE_CLIENT, (Input.SUCCESS,), [(32.0, "M")]),
        (Kind.CLIENT, (), [(32.0, "F")]),
        (Kind.CLIENT, (Input.PROVISIONAL,), [(32.0, "F")]),
        (Kind.CLIENT, (Input.SUCCESS,), [(0.0, "K")]),
        (Kind.INVITE_SERVER, (), []),
        (Kind.INVITE_SERVER, (Input.FAILURE,), [(32.0, "H")]),
        (Kind.INVITE_SERVER, (Input.FAILURE, Input.ACK), [(0.0, "I")]),
        (Kind.INVITE_SERVER, (Input.SUCCESS,), [(32.0, "L")]),
        (Kind.SERVER, (), []),
        (Kind.SERVER, (Input.SUCCESS,), [(0.0, "J")]),
    ],
)
def test_timers_over_a_reliable_transport(
    kind: Kind, inputs: tuple[Input, ...], timers: list[tuple[float, str]]
) -> None:
    assert fired(a_transaction(kind, *inputs, is_reliable=True), 100.0) == timers


@pytest.mark.parametrize(
    ("kind", "inputs", "timers"),
    [
        (Kind.INVITE_CLIENT, (Input.FAILURE,), [(32.0, "D")]),
        (Kind.INVITE_CLIENT, (Input.PROVISIONAL, Input.SUCCESS), [(32.0, "M")]),
        (Kind.CLIENT, (Input.FAILURE,), [(5.0, "K")]),
        (Kind.INVITE_SERVER, (Input.SUCCESS,), [(32.0, "L")]),
        (Kind.SERVER, (Input.FAILURE,), [(32.0, "J")]),
    ],
)
def test_timers_of_final_states_over_udp(
    kind: Kind, inputs: tuple[Input, ...], timers: list[tuple[float, str]]
) -> None:
    transaction = a_transaction(kind, *inputs)
    assert fired(transaction, 100.0) == timers
    assert transaction.state is State.TERMINATED


def test_table_says_what_to_do() -> None:
    expected = {
        (Kind.INVITE_CLIENT, State.COMPLETED, Input.FAILURE): (State.COMPLETED, (Action.ACK,)),
        (Kind.INVITE_CLIENT, State.ACCEPTED, Input.SUCCESS): (State.ACCEPTED, (Action.TELL,)),
        (Kind.INVITE_SERVER, State.PROCEEDING, Input.REQUEST): (
            State.PROCEEDING,
            (Action.SEND,),
        ),
        (Kind.SERVER, State.COMPLETED, Input.REQUEST): (State.COMPLETED, (Action.SEND,)),
        (Kind.CLIENT, State.TRYING, Input.FAULT): (State.TERMINATED, (Action.GIVE_UP,)),
    }
    for (kind, state, event), step in expected.items():
        assert TRANSITIONS[kind][state][event] == step


@pytest.mark.parametrize(
    ("kind", "inputs", "late"),
    [
        # RFC 6026: an INVITE again after our 200 is absorbed, and so is a failure after a 2xx.
        (Kind.INVITE_SERVER, (Input.SUCCESS,), Input.REQUEST),
        (Kind.INVITE_CLIENT, (Input.SUCCESS,), Input.FAILURE),
        (Kind.INVITE_CLIENT, (Input.SUCCESS,), Input.PROVISIONAL),
        (Kind.INVITE_CLIENT, (Input.FAILURE,), Input.PROVISIONAL),
        (Kind.INVITE_CLIENT, (Input.PROVISIONAL,), Input.FAULT),
        (Kind.SERVER, (), Input.REQUEST),
        (Kind.CLIENT, (Input.SUCCESS,), Input.SUCCESS),
    ],
)
def test_what_is_late_changes_nothing(kind: Kind, inputs: tuple[Input, ...], late: Input) -> None:
    transaction = a_transaction(kind, *inputs)
    state = transaction.state
    assert transaction.advance(late, 1.0) == ()
    assert transaction.state is state


def test_status_is_an_input() -> None:
    inputs = [Input.of_status(status) for status in (100, 199, 200, 299, 300, 699)]
    assert inputs == [Input.PROVISIONAL] * 2 + [Input.SUCCESS] * 2 + [Input.FAILURE] * 2
