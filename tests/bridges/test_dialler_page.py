"""`docs/protocols/dialler.md` says what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bridges.socket_leg import MAX_UNSENT_BYTES, STALL_TIMEOUT_S
from bridges.stream_leg import TRANSFER_TIMEOUT_S
from bridges.wire import dialler, dialler_message, message
from bridges.wire.close import CloseCode
from bridges.wire.dialler import KNOWN_FIELDS, DiallerServer
from bridges.wire.dialler_event import Answered, Connected, MediaReceived, Started
from contracts import phone_queue

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "protocols" / "dialler.md").read_text()
LIMITS = {
    "MAX_MESSAGE_BYTES": f"{message.MAX_MESSAGE_BYTES} bytes",
    "MAX_FIELDS": str(dialler_message.MAX_FIELDS),
    "MAX_DEPTH": str(message.MAX_DEPTH),
    "MAX_TEXT_CHARS": f"{message.MAX_TEXT_CHARS} characters",
    "MAX_EVENT_CHARS": f"{message.MAX_EVENT_CHARS} characters",
    "MAX_NUMBER_CHARS": f"{message.MAX_NUMBER_CHARS} characters",
    "HANDSHAKE_TIMEOUT_S": f"{dialler.HANDSHAKE_TIMEOUT_S:g} s",
    "MEDIA_TIMEOUT_S": f"{dialler.MEDIA_TIMEOUT_S:g} s",
    "MAX_UNSENT_BYTES": f"{MAX_UNSENT_BYTES} bytes",
    "STALL_TIMEOUT_S": f"{STALL_TIMEOUT_S:g} s",
    "TRANSFER_TIMEOUT_S": f"{TRANSFER_TIMEOUT_S:g} s",
    "MAX_CATCH_UP_S": f"{phone_queue.MAX_CATCH_UP_S:g} s",
}


@pytest.mark.parametrize("code", CloseCode)
def test_every_close_code_stands_in_the_table(code: CloseCode) -> None:
    assert f"| {code.value} | `{code.name}` |" in PAGE


def test_no_other_close_code_stands_in_the_table() -> None:
    listed = {int(code) for code in re.findall(r"^\| (\d{4}) \| `", PAGE, re.MULTILINE)}

    assert listed == set(CloseCode)


@pytest.mark.parametrize(("name", "value"), LIMITS.items())
def test_every_limit_stands_in_the_table(name: str, value: str) -> None:
    assert re.search(rf"\| {re.escape(value)} \| `{name}`", PAGE)


@pytest.mark.parametrize("event", ["connected", *KNOWN_FIELDS])
def test_every_message_has_its_section(event: str) -> None:
    assert f"### `{event}`" in PAGE


def test_every_field_we_send_is_described() -> None:
    for name in ("outgoing", "transfer"):
        vector = ROOT / "tests" / "vectors" / "dialler" / f"{name}.jsonl"
        for line in vector.read_text().splitlines():
            fields = json.loads(line)
            section = PAGE.partition(f"### `{fields['event']}`")[2].partition("\n##")[0]
            for field in fields.keys() - {"event"}:
                assert f"`{field}`" in section, f"{fields['event']}.{field}"


def test_example_session_is_understood() -> None:
    session = PAGE.partition("## An example session")[2]
    spoken = re.findall(r"^> (.+)$", session, re.MULTILINE)
    server = DiallerServer(0.0)

    events = [event for message in spoken for event in server.receive(message, 0.0)]

    assert [type(event) for event in events] == [
        Connected, Started, Answered, MediaReceived, MediaReceived,
    ]  # fmt: skip
