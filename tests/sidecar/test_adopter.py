"""What the dead have left: handed in once, in order, whatever the sidecar answers meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.report import Noticed, Report, ReportReceipt, Source
from sidecar.adopter import Adopter
from sidecar.journal import Key, Left, name_of
from sidecar.refusal import Refused, SidecarError, Unavailable
from sidecar.reporter import MAX_BATCH_BYTES
from sidecar.spool import ASIDE_SUFFIX, Spool
from tests.fakes.virtual_time import virtual_time
from tests.sidecar.test_journal import CALL_ID, fact, line

OTHER_ID = "6f0b1c9e-8a52-4b7e-9f53-0c5a3c1d2e4f"


class Book:
    """A ledger as the sidecar keeps it: by call and source, each fact once, no gaps."""

    def __init__(self) -> None:
        self.facts: dict[tuple[str, Source], list[str]] = {}
        self.answers: list[SidecarError] = []
        self.broken: dict[str, SidecarError] = {}
        self.asked: list[tuple[str, Source, int, int, int]] = []

    async def report(self, call_id: str, report: Report) -> ReportReceipt:
        await asyncio.sleep(0)
        self.asked.append(
            (call_id, report.source, report.incarnation, report.seq, len(report.facts))
        )
        if self.answers:
            raise self.answers.pop(0)
        if call_id in self.broken:
            raise self.broken[call_id]
        applied = self.facts.setdefault((call_id, report.source), [])
        assert report.seq <= len(applied) + 1
        new = report.facts[len(applied) + 1 - report.seq :]
        applied += [each.name for each in new if isinstance(each, Noticed)]
        return ReportReceipt(applied_seq=len(applied))

    def of(self, call_id: str, source: Source = Source.AGENT) -> list[str]:
        return self.facts.get((call_id, source), [])


class Estate:
    """A spool, what is left in it, and who hands that in."""

    def __init__(self, folder: Path) -> None:
        self.spool = Spool(folder, "w", max_bytes=2**30)
        self.book = Book()
        self.done: list[tuple[Left, bool]] = []
        self.adopter = Adopter(
            self.spool, self.book, on_done=lambda left, is_taken: self.done.append((left, is_taken))
        )

    def leave(
        self, *told: str, call_id: str = CALL_ID, source: Source = Source.AGENT, number: int = 1
    ) -> Path:
        journal = self.spool.open(call_id, source, number)
        for name in told:
            journal.append(line(name))
        journal.close()
        return self.spool.folder / name_of(Key(call_id, source, number))


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    return Estate(tmp_path)


async def test_what_a_dead_process_told_is_handed_in_once_and_then_gone(estate: Estate) -> None:
    estate.leave("a", "b")
    assert estate.adopter.waiting() == 1
    assert await estate.adopter.turn()
    assert await estate.adopter.turn()
    assert estate.book.of(CALL_ID) == ["a", "b"]
    assert estate.adopter.waiting() == 0
    assert [(left.key.call_id, is_taken) for left, is_taken in estate.done] == [(CALL_ID, True)]
    assert list(estate.spool.folder.iterdir()) == []


async def test_one_that_had_told_everything_is_done_without_a_question(estate: Estate) -> None:
    estate.leave()
    assert await estate.adopter.turn()
    assert (estate.book.asked, len(estate.done)) == ([], 1)


async def test_source_and_incarnation_give_the_order(estate: Estate) -> None:
    estate.leave("y", source=Source.BRIDGE)
    estate.leave("x", number=10)
    estate.leave("x", number=9)
    await estate.adopter.turn()
    told = [(source, incarnation) for _, source, incarnation, _, _ in estate.book.asked]
    assert told == [(Source.AGENT, 9), (Source.AGENT, 10), (Source.BRIDGE, 1)]


@given(told=st.integers(0, 12), known=st.integers(0, 12), cut=st.floats(0, 1))
async def test_whatever_the_sidecar_had_and_wherever_the_file_was_cut_facts_come_once(
    tmp_path_factory: pytest.TempPathFactory, told: int, known: int, cut: float
) -> None:
    estate = Estate(tmp_path_factory.mktemp("spool"))
    everything = [f"n{number}" for number in range(told)]
    path = estate.leave(*everything)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(cut * len(whole))])
    estate.book.facts[CALL_ID, Source.AGENT] = everything[:known]
    assert await estate.adopter.turn()
    applied = estate.book.of(CALL_ID)
    assert applied == everything[: len(applied)]
    assert len(applied) >= min(known, told)
    assert list(estate.spool.folder.iterdir()) == []


async def test_much_is_handed_in_in_reports_the_sidecar_takes(estate: Estate) -> None:
    journal = estate.spool.open(CALL_ID, Source.AGENT, 1)
    big = Noticed(at=fact("x").at, name="n", detail={"text": "x" * (MAX_BATCH_BYTES // 2 - 200)})
    for _ in range(3):
        journal.append(big.model_dump_json().encode())
    for number in range(501):
        journal.append(line(str(number)))
    journal.close()
    await estate.adopter.turn()
    assert [count for *_, count in estate.book.asked] == [2, 500, 2]
    assert len(estate.book.of(CALL_ID)) == 504


@virtual_time
async def test_absent_sidecar_is_asked_again_ever_more_rarely(tmp_path: Path) -> None:
    estate = Estate(tmp_path)
    estate.leave("a")
    estate.leave("b", call_id=OTHER_ID)
    estate.book.answers = [Unavailable("away") for _ in range(6)]
    asked_at: list[float] = []
    loop = asyncio.get_running_loop()
    take = estate.book.report

    async def timed(call_id: str, report: Report) -> ReportReceipt:
        asked_at.append(round(loop.time(), 3))
        return await take(call_id, report)

    estate.book.report = timed  # type: ignore[method-assign]
    running = asyncio.create_task(estate.adopter.run())
    await asyncio.sleep(10)
    running.cancel()
    assert asked_at[:7] == [0.0, 0.2, 0.6, 1.4, 3.0, 5.0, 7.0]
    assert (estate.book.of(CALL_ID), estate.book.of(OTHER_ID)) == (["a"], ["b"])


async def test_call_the_sidecar_fails_over_holds_up_no_other(estate: Estate) -> None:
    estate.leave("a")
    estate.leave("b", call_id=OTHER_ID)
    estate.book.broken[CALL_ID] = Refused(503, "busy", "database is locked")
    assert await estate.adopter.turn()
    assert (estate.book.of(CALL_ID), estate.book.of(OTHER_ID)) == ([], ["b"])
    assert estate.adopter.waiting() == 1
    estate.book.broken.clear()
    await estate.adopter.turn()
    assert estate.book.of(CALL_ID) == ["a"]


async def test_call_nobody_can_be_told_about_comes_last_the_next_time(estate: Estate) -> None:
    estate.leave("a")
    estate.leave("b", call_id=OTHER_ID)
    estate.book.broken[CALL_ID] = Unavailable("status 500")
    assert not await estate.adopter.turn()
    assert not await estate.adopter.turn()
    assert estate.book.of(OTHER_ID) == ["b"]


@pytest.mark.parametrize(
    ("status", "code"), [(404, "call_unknown"), (409, "stale_incarnation"), (409, "call_ended")]
)
async def test_what_is_refused_for_good_is_dropped(status: int, code: str, estate: Estate) -> None:
    estate.leave("a")
    estate.book.answers = [Refused(status, code, "no")]
    assert await estate.adopter.turn()
    assert estate.adopter.waiting() == 0
    assert [is_taken for _, is_taken in estate.done] == [False]
    assert list(estate.spool.folder.iterdir()) == []


@pytest.mark.parametrize("status", [401, 403, 429])
async def test_wrong_secret_costs_no_report(status: int, estate: Estate) -> None:
    estate.leave("a")
    estate.book.answers = [Refused(status, "secret_wrong", "no")]
    await estate.adopter.turn()
    assert (estate.adopter.waiting(), estate.done) == (1, [])
    await estate.adopter.turn()
    assert estate.book.of(CALL_ID) == ["a"]


async def test_what_comes_after_damage_is_kept_for_a_person(estate: Estate) -> None:
    path = estate.leave("a")
    path.write_bytes(path.read_bytes() + b"\0\0\0\n")
    assert await estate.adopter.turn()
    assert estate.book.of(CALL_ID) == ["a"]
    assert path.with_name(path.name + ASIDE_SUFFIX).exists()
    assert estate.adopter.waiting() == 0


async def test_journal_of_the_living_is_left_to_them(estate: Estate) -> None:
    journal = estate.spool.open(CALL_ID, Source.AGENT, 1)
    journal.append(line("a"))
    await estate.adopter.turn()
    assert (estate.book.asked, estate.adopter.waiting()) == ([], 0)
    journal.mark_delayed()
    assert estate.adopter.waiting() == 1
    journal.discard()


async def test_two_of_one_host_hand_in_nothing_twice(tmp_path: Path) -> None:
    estate, other = Estate(tmp_path), Estate(tmp_path)
    other.book = estate.book
    other.adopter = Adopter(other.spool, other.book)
    for number in range(10):
        estate.leave("a", call_id=CALL_ID[:-1] + str(number))
    await asyncio.gather(estate.adopter.turn(), other.adopter.turn())
    assert len(estate.book.asked) == 10


async def test_one_in_hand_still_counts(estate: Estate) -> None:
    estate.leave("a")
    asked = asyncio.Event()
    take = estate.book.report

    async def slow(call_id: str, report: Report) -> ReportReceipt:
        asked.set()
        await asyncio.sleep(0.01)
        return await take(call_id, report)

    estate.book.report = slow  # type: ignore[method-assign]
    turning = asyncio.create_task(estate.adopter.turn())
    await asked.wait()
    assert estate.adopter.waiting() == 1
    await turning
    assert estate.adopter.waiting() == 0


async def test_answer_that_applies_nothing_does_not_loop_for_ever(estate: Estate) -> None:
    estate.leave("a")

    async def forgetful(call_id: str, report: Report) -> ReportReceipt:
        return ReportReceipt(applied_seq=0)

    estate.book.report = forgetful  # type: ignore[method-assign]
    assert not await estate.adopter.turn()
    assert estate.adopter.waiting() == 1
