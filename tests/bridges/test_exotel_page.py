"""`docs/protocols/exotel.md` says what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bridges import exotel_leg
from bridges.wire import exotel, exotel_message
from bridges.wire.exotel import KNOWN_EVENTS, ExotelServer
from contracts import phone_queue

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "protocols" / "exotel.md").read_text()
LIMITS = {
    "MAX_STREAM_MESSAGE_BYTES": f"{exotel_message.MAX_STREAM_MESSAGE_BYTES} bytes",
    "MAX_PARAMETERS": str(exotel_message.MAX_PARAMETERS),
    "MAX_DIGITS": str(exotel.MAX_DIGITS),
    "HANDSHAKE_TIMEOUT_S": f"{exotel.HANDSHAKE_TIMEOUT_S:g} s",
    "MEDIA_TIMEOUT_S": f"{exotel.MEDIA_TIMEOUT_S:g} s",
    "LEAD_MS": f"{exotel_leg.LEAD_MS} ms",
    "MAX_MESSAGE_MS": f"{exotel_leg.MAX_MESSAGE_MS} ms",
    "MARK_PATIENCE_S": f"{phone_queue.MARK_PATIENCE_S:g} s",
    "LAST_WORDS_S": f"{exotel_leg.LAST_WORDS_S:g} s",
}


@pytest.mark.parametrize(("name", "value"), LIMITS.items())
def test_every_limit_stands_in_the_table(name: str, value: str) -> None:
    assert re.search(rf"\| {re.escape(value)} \| `{name}`", PAGE)


@pytest.mark.parametrize("event", sorted(KNOWN_EVENTS | {"clear"}))
def test_every_message_is_described(event: str) -> None:
    assert re.search(rf"^\| `{event}` \|", PAGE, re.MULTILINE)


def test_example_is_understood() -> None:
    server = ExotelServer(0.0)
    for line in re.findall(r"^> (.*)$", PAGE, re.MULTILINE):
        server.receive(line.replace("…", ""), 0.0)
    for line in re.findall(r"^< (\{.*)$", PAGE, re.MULTILINE):
        assert json.loads(line)["stream_sid"] == "s1"
    assert server.ignored_events == 0
