"""Passthru in all its spellings, and whether it finds a caller handed over."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.outcome import Reason
from contracts.report import Fact, LegEnded, TransferFailed, TransferSent, TransferStarted
from sidecar.exotel_passthru import MAX_VALUE_CHARS, StreamReport, transfer_wanted
from tests.fakes.control_plane import START

RECORDING = "https://recordings.example/acme/s1.mp3"
BRACKETS = {
    "CallSid": "c1",
    "Direction": "incoming",
    "From": "+911",
    "To": "+912",
    "flow_id": "77",
    "Stream[StreamSID]": "s1",
    "Stream[Status]": "completed",
    "Stream[Duration]": "28",
    "Stream[RecordingUrl]": RECORDING,
    "Stream[StreamUrl]": "wss://voice.example/exotel/desk?token=hunter2",
    "Stream[DisconnectedBy]": "bot",
    "Stream[Error]": "",
    "Stream[DetailedStatus]": "Streaming_completed",
}
INNER = {key[7:-1]: value for key, value in BRACKETS.items() if key.startswith("Stream[")}
OUTER = {key: value for key, value in BRACKETS.items() if not key.startswith("Stream[")}
SPELLINGS: dict[str, dict[str, Any]] = {
    "brackets": BRACKETS,
    "json in the query": {**OUTER, "Stream": json.dumps(INNER)},
    "nested json": {**OUTER, "Stream": INNER},
    "flat": {**OUTER, **INNER},
    "lower case": {key.lower(): value for key, value in {**OUTER, **INNER}.items()},
    "snake case": {**OUTER, "stream_sid": "s1", **{k.lower(): v for k, v in INNER.items()}},
    "a number": {**OUTER, "Stream": {**INNER, "Duration": 28}},
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_report_is_the_same_in_every_spelling(spelling: str) -> None:
    report = StreamReport.parse(SPELLINGS[spelling].items())
    assert (report.call_sid, report.stream_sid, report.status) == ("c1", "s1", "completed")
    assert not report.ended_by_caller
    assert not report.is_beforehand
    assert report.record() == {
        "CallSid": "c1",
        "StreamSID": "s1",
        "Status": "completed",
        "Duration": "28",
        "RecordingUrl": RECORDING,
        "DisconnectedBy": "bot",
        "DetailedStatus": "Streaming_completed",
        "Direction": "incoming",
        "From": "+911",
        "To": "+912",
        "call_status": "completed",
        "talktime": 28,
        "recording_filename": RECORDING,
    }


def test_token_in_the_streams_url_is_not_kept() -> None:
    assert "hunter2" not in str(StreamReport.parse(BRACKETS.items()))


@pytest.mark.parametrize("word", ["user", "User", "caller", "customer"])
def test_caller_who_ended_it_is_known(word: str) -> None:
    assert StreamReport.parse([("Stream[DisconnectedBy]", word)]).ended_by_caller


@pytest.mark.parametrize("word", ["bot", "NA", "system", ""])
def test_anybody_else_is_not_the_caller(word: str) -> None:
    assert not StreamReport.parse([("Stream[DisconnectedBy]", word)]).ended_by_caller


def test_error_is_believed_before_the_status() -> None:
    report = StreamReport.parse(
        [("Stream[Status]", "completed"), ("Stream[Error]", "3009 connection failed")]
    )
    assert (report.status, report.error) == ("failed", "3009 connection failed")


def test_stream_that_was_throttled_says_so() -> None:
    report = StreamReport.parse(
        [
            ("CallSid", "c1"),
            ("Stream[StreamSID]", "NA"),
            ("Stream[Status]", "failed"),
            ("Stream[DisconnectedBy]", "NA"),
            ("Stream[Error]", "NA"),
            ("Stream[DetailedStatus]", "Streaming_call_throttled"),
        ]
    )
    assert (report.stream_sid, report.status) == ("", "failed")
    assert report.error == "Streaming_call_throttled"
    assert report.record()["call_status"] == "failed"


def test_detail_of_a_stream_that_went_well_is_no_error() -> None:
    assert StreamReport.parse(BRACKETS.items()).error == ""


def test_report_before_the_stream_is_known() -> None:
    assert StreamReport.parse([("EventType", "stream-start")]).is_beforehand


def test_first_value_of_a_name_counts_and_the_streams_own_before_the_calls() -> None:
    pairs = [
        ("Status", "in-progress"),
        ("Stream[Status]", "completed"),
        ("Stream[Status]", "failed"),
        ("CallSid", "c1"),
        ("callsid", "c2"),
    ]
    report = StreamReport.parse(pairs)
    assert (report.call_sid, report.status) == ("c1", "completed")


@pytest.mark.parametrize(
    "value",
    ["", "../../c1", "c1 or 1=1", "c" * 101, "c\n1", "\udcff", "ü", None, True, [], {"a": 1}, 1.5],
)
def test_name_that_can_be_none_is_none(value: Any) -> None:
    assert StreamReport.parse([("CallSid", value)]).call_sid == ""


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "file:///etc/passwd", "s1.mp3", "https://x/" + "a" * 2000]
)
def test_recording_that_is_no_link_is_left_out(url: str) -> None:
    assert "recording_filename" not in StreamReport.parse([("RecordingUrl", url)]).record()


@pytest.mark.parametrize("duration", ["-1", "28.5", "1e3", "9999999", "x", "²"])
def test_duration_that_is_no_number_of_seconds_is_not_counted(duration: str) -> None:
    assert "talktime" not in StreamReport.parse([("Duration", duration)]).record()


def test_long_values_are_cut_and_nuls_left_out() -> None:
    report = StreamReport.parse([("Error", "x\0" * 10_000), ("Stream", "[" * 100_000)])
    assert report.error == "x" * MAX_VALUE_CHARS


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*BRACKETS, *INNER, "Stream", "stream[", "Stream[]"]) | st.text(),
            st.text() | st.integers() | st.none() | st.dictionaries(st.text(), st.text()),
        )
    )
)
def test_nothing_breaks_it(pairs: list[tuple[str, Any]]) -> None:
    record = StreamReport.parse(pairs).record()
    assert all(isinstance(value, str | int) for value in record.values())


def at(seconds: float) -> Any:
    return START + timedelta(seconds=seconds)


STARTED = TransferStarted(at=at(1), destination="+913", method="exotel_passthru")
SENT = TransferSent(at=at(2))
FAILED = TransferFailed(at=at(3), failed_reason="no")
HUNG_UP = LegEnded(at=at(0.5), reason=Reason.CALLER_HUNG_UP)
GONE_OVER = LegEnded(at=at(2.5), reason=Reason.TRANSFERRED)


@pytest.mark.parametrize(
    ("facts", "is_wanted"),
    [
        ([], False),
        ([STARTED], True),
        ([STARTED, SENT, GONE_OVER], True),
        ([STARTED, SENT, FAILED], False),
        ([STARTED, FAILED, STARTED], True),
        ([HUNG_UP, STARTED], False),
        ([STARTED, LegEnded(at=at(2), reason=Reason.BRIDGE_LOST)], True),
    ],
)
def test_transfer_is_wanted_until_it_is_taken_back(facts: list[Fact], is_wanted: bool) -> None:
    assert (transfer_wanted(facts) is not None) is is_wanted
