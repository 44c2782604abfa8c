"""The reporter's promises: in order, each once, retried, fenced; against a ledger that can fail."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from contracts.report import Fact, Noticed, Report, ReportReceipt, Source
from sidecar.client import Journal, Reporter, SidecarClient, Spool
from sidecar.journal import Key, name_of, parse

CALL_ID = "5f0b1c9e-8a52-4b7e-9f53-0c5a3c1d2e4f"
AT = datetime(2026, 6, 5, 10, 0, tzinfo=UTC)


def client_of(ledger: Ledger) -> SidecarClient:
    return SidecarClient("http://sidecar", "s3cret", transport=httpx.MockTransport(ledger))


def refusal(status: int, code: str) -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": code, "message": "no"}})


class Ledger:
    """A sidecar's report endpoint: applies facts in order, and fails as told."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.batches: list[int] = []
        self.failures: list[httpx.Response | Exception] = []
        self.lost_answers = 0
        self.changed = asyncio.Event()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            return failure
        report = Report.model_validate_json(request.content)
        assert report.seq <= len(self.names) + 1
        new = report.facts[len(self.names) + 1 - report.seq :]
        self.names += [fact.name for fact in new if isinstance(fact, Noticed)]
        self.batches.append(len(report.facts))
        self.changed.set()
        if self.lost_answers:
            self.lost_answers -= 1
            raise httpx.ReadTimeout("answer lost", request=request)
        return httpx.Response(
            200, text=ReportReceipt(applied_seq=len(self.names)).model_dump_json()
        )


def noticed(name: str) -> Fact:
    return Noticed(at=AT, name=name)


class Sleeps:
    """Records what was asked for and yields instead of waiting."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def __call__(self, delay_s: float) -> None:
        self.asked.append(delay_s)
        await asyncio.sleep(0)


def reporter_of(client: SidecarClient, sleep: Sleeps, journal: Journal | None = None) -> Reporter:
    return Reporter(client, CALL_ID, Source.AGENT, 1, journal=journal, sleep=sleep)


class Disk:
    """A spool with the one journal of this call."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / name_of(Key(CALL_ID, Source.AGENT, 1))
        self.journal = Spool(folder, "w", max_bytes=2**20).open(CALL_ID, Source.AGENT, 1)

    def left(self) -> tuple[int, list[str]]:
        """Return what is on disk: the first number, and the facts."""
        left = parse(Key(CALL_ID, Source.AGENT, 1), self.path.read_bytes())
        return left.seq, [fact.name for fact in left.facts if isinstance(fact, Noticed)]


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


async def handed_in(reporter: Reporter) -> None:
    while reporter.pending:  # noqa: ASYNC110 - a reporter tells nobody of an answer
        await asyncio.sleep(0)


async def test_reporter_batches_facts_in_order() -> None:
    ledger = Ledger()
    async with client_of(ledger) as client:
        reporter = reporter_of(client, Sleeps())
        for name in ("a", "b", "c"):
            reporter.add(noticed(name))
        assert reporter.pending == 3
        await ledger.changed.wait()
        await reporter.aclose(timeout_s=1)
    assert (ledger.names, ledger.batches, reporter.pending) == (["a", "b", "c"], [3], 0)


async def test_reporter_splits_what_is_more_than_one_batch() -> None:
    ledger = Ledger()
    async with client_of(ledger) as client:
        reporter = reporter_of(client, Sleeps())
        for number in range(1100):
            reporter.add(noticed(str(number)))
        await reporter.aclose(timeout_s=5)
    assert ledger.batches == [500, 500, 100]
    assert ledger.names == [str(number) for number in range(1100)]


async def test_reporter_backs_off_while_the_sidecar_is_away() -> None:
    ledger, sleeps = Ledger(), Sleeps()
    ledger.failures = [httpx.ConnectError("down"), httpx.Response(502), refusal(503, "busy")]
    async with client_of(ledger) as client:
        reporter = reporter_of(client, sleeps)
        reporter.add(noticed("a"))
        await ledger.changed.wait()
        await reporter.aclose(timeout_s=1)
    assert ledger.names == ["a"]
    assert [delay for delay in sleeps.asked if delay != 0.25] == [0.2, 0.4, 0.8]


async def test_reporter_repeats_without_doubling_when_the_answer_is_lost() -> None:
    ledger = Ledger()
    ledger.lost_answers = 1
    async with client_of(ledger) as client:
        reporter = reporter_of(client, Sleeps())
        reporter.add(noticed("a"))
        await ledger.changed.wait()
        reporter.add(noticed("b"))
        await reporter.aclose(timeout_s=1)
    assert ledger.names == ["a", "b"]


async def test_reporter_is_fenced_by_a_stale_incarnation() -> None:
    ledger = Ledger()
    ledger.failures = [refusal(409, "stale_incarnation")]
    async with client_of(ledger) as client:
        reporter = reporter_of(client, Sleeps())
        reporter.add(noticed("a"))
        await reporter.fenced.wait()
        reporter.add(noticed("b"))
        await reporter.aclose(timeout_s=1)
    assert (ledger.names, reporter.pending) == ([], 0)


async def test_reporter_stops_without_being_fenced_when_refused_otherwise() -> None:
    ledger = Ledger()
    ledger.failures = [refusal(404, "call_unknown")]
    async with client_of(ledger) as client:
        reporter = reporter_of(client, Sleeps())
        reporter.add(noticed("a"))
        await reporter.aclose(timeout_s=1)
    assert reporter.refusal is not None
    assert reporter.refusal.code == "call_unknown"
    assert not reporter.fenced.is_set()


async def test_reporter_tells_what_it_could_not_hand_in_when_closing_times_out() -> None:
    ledger = Ledger()
    ledger.failures = [httpx.ConnectError("down")]
    async with client_of(ledger) as client:
        reporter = Reporter(client, CALL_ID, Source.BRIDGE, 1)
        reporter.add(noticed("a"))
        await reporter.aclose(timeout_s=0.01)
    assert reporter.pending == 1


async def test_fact_that_cannot_be_sent_is_dropped_alone() -> None:
    ledger = Ledger()
    async with client_of(ledger) as client:
        reporter = Reporter(client, CALL_ID, Source.AGENT, 1, sleep=Sleeps())
        reporter.add(Noticed(at=AT, name="torn", detail={"text": "\ud83d"}))
        reporter.add(Noticed(at=AT, name="huge", detail={"text": "x" * 2**21}))
        reporter.add(noticed("fine"))
        await reporter.aclose(5)
    assert (ledger.names, reporter.refusal) == (["fine"], None)


async def test_what_gathered_in_an_outage_is_sent_in_bodies_the_sidecar_takes() -> None:
    ledger = Ledger()
    async with client_of(ledger) as client:
        reporter = Reporter(client, CALL_ID, Source.AGENT, 1, sleep=Sleeps())
        for number in range(5):
            reporter.add(Noticed(at=AT, name=f"n{number}", detail={"text": "x" * 400_000}))
        await reporter.aclose(5)
    assert ledger.names == [f"n{number}" for number in range(5)]
    assert ledger.batches == [2, 2, 1]


async def test_what_the_sidecar_does_not_have_is_on_disk(disk: Disk) -> None:
    ledger = Ledger()
    async with client_of(ledger) as client:
        reporter = reporter_of(client, Sleeps(), disk.journal)
        reporter.add(noticed("a"))
        assert (disk.left(), reporter.is_durable) == ((1, ["a"]), True)
        await ledger.changed.wait()
        await handed_in(reporter)
        assert disk.left() == (2, [])
        reporter.add(noticed("b"))
        assert disk.left() == (2, ["b"])
        await reporter.aclose(1)
    assert ledger.names == ["a", "b"]
    assert not disk.path.exists()


async def test_reporter_that_gives_up_leaves_its_facts_to_others(
    disk: Disk, tmp_path: Path
) -> None:
    ledger = Ledger()
    ledger.failures = [httpx.ConnectError("away")] * 1000
    spool = Spool(tmp_path, "other", max_bytes=2**20)
    async with client_of(ledger) as client:
        reporter = Reporter(client, CALL_ID, Source.AGENT, 1, journal=disk.journal)
        reporter.add(noticed("a"))
        assert not spool.is_waiting(disk.path)
        await reporter.aclose(0.05)
    assert (reporter.pending, disk.left()) == (1, (1, ["a"]))
    assert spool.is_waiting(disk.path)


async def test_reporter_without_an_answer_says_so_on_disk(disk: Disk, tmp_path: Path) -> None:
    ledger, sleeps = Ledger(), Sleeps()
    ledger.failures = [httpx.ConnectError("away")]
    spool = Spool(tmp_path, "other", max_bytes=2**20)
    waiting: list[bool] = []

    async def sleep(delay_s: float) -> None:
        waiting.append(spool.is_waiting(disk.path))
        await sleeps(delay_s)

    async with client_of(ledger) as client:
        reporter = Reporter(client, CALL_ID, Source.AGENT, 1, journal=disk.journal, sleep=sleep)
        reporter.add(noticed("a"))
        await ledger.changed.wait()
        await handed_in(reporter)
        assert not spool.is_waiting(disk.path)
        await reporter.aclose(1)
    assert waiting[:2] == [False, True]


@pytest.mark.parametrize("code", ["stale_incarnation", "call_unknown"])
async def test_facts_nobody_wants_do_not_stay_on_disk(disk: Disk, code: str) -> None:
    ledger = Ledger()
    ledger.failures = [refusal(409, code)]
    async with client_of(ledger) as client:
        reporter = reporter_of(client, Sleeps(), disk.journal)
        reporter.add(noticed("a"))
        await reporter.aclose(1)
    assert not disk.path.exists()


async def test_wrong_secret_is_waited_out(disk: Disk) -> None:
    ledger = Ledger()
    ledger.failures = [refusal(403, "secret_wrong"), refusal(429, "busy")]
    async with client_of(ledger) as client:
        reporter = reporter_of(client, Sleeps(), disk.journal)
        reporter.add(noticed("a"))
        await reporter.aclose(1)
    assert (ledger.names, reporter.refusal) == (["a"], None)


async def test_reporter_that_breaks_leaves_its_facts_to_others(disk: Disk) -> None:
    class Broken:
        async def report(self, call_id: str, report: Report) -> ReportReceipt:
            raise ZeroDivisionError

    reporter = Reporter(Broken(), CALL_ID, Source.AGENT, 1, journal=disk.journal, sleep=Sleeps())
    reporter.add(noticed("a"))
    await reporter.aclose(1)
    assert disk.left() == (1, ["a"])


async def test_fact_that_cannot_be_sent_is_not_on_disk_either(disk: Disk) -> None:
    async with client_of(Ledger()) as client:
        reporter = reporter_of(client, Sleeps(), disk.journal)
        reporter.add(Noticed(at=AT, name="torn", detail={"text": "\ud83d"}))
        reporter.add(noticed("fine"))
        assert disk.left() == (1, ["fine"])
        await reporter.aclose(1)
