"""The endpoint on its sockets: what is logged of it, and whose trouble is whose."""

from __future__ import annotations

import time
from pathlib import Path

from structlog.testing import capture_logs

from bridges.sip import ipc
from bridges.sip.driver import Driver
from bridges.wire.sip.event import Event, Invited
from bridges.wire.sip.flow import Transport
from contracts.trunk import Trunk
from tests.bridges.sip.exchange import eventually, exchange, settings_of
from tests.fakes.sip_media import SDP

DESK = Trunk(name="desk", trunk_id="desk", inbound_username="1001", inbound_password="s3cret")


def dial(leg: str, port: int) -> ipc.Dial:
    """Return an order to call that port with credentials."""
    trunk = Trunk(name="us", address=f"127.0.0.1:{port}", username="1001", password="s3cret")
    return ipc.Dial(
        leg=leg, to_number="42", from_number="7", trunk=trunk, sdp=SDP, ringing_timeout_s=5
    )


async def test_trace_shows_every_message_and_no_proof(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with (
            exchange(tmp_path / "state", trunks=[DESK], sip_allowed_peers="192.0.2.1") as running,
            exchange(tmp_path / "caller", log_level="debug") as caller,
        ):
            caller.media.tell(dial("out", running.port))
            await caller.media.hear(ipc.Accepted)
    traced = [each["message_pii"] for each in logs if each["event"] == "sip_message"]
    assert any("Authorization: ***" in message for message in traced)
    assert any(message.startswith("SIP/2.0 401") for message in traced)
    assert any("Authenticate: ***" in message for message in traced)
    assert "response=" not in "".join(traced)


async def test_numbers_stand_under_marked_keys_alone(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with exchange(tmp_path / "state") as running, exchange(tmp_path / "c") as caller:
            order = dial("out", running.port).model_copy(update={"to_number": "+919876543210"})
            caller.media.tell(order)
            await caller.media.hear(ipc.Accepted)
    assert any(each.get("did_pii") == "+919876543210" for each in logs)
    plain = [value for each in logs for key, value in each.items() if "pii" not in key.split("_")]
    assert not [value for value in plain if "9876543210" in str(value)]


class Clumsy:
    """Trips over the first call."""

    def __init__(self) -> None:
        self.heard: list[Event] = []

    def event_happened(self, event: Event) -> None:
        self.heard.append(event)
        if len(self.heard) == 1:
            raise RuntimeError("tripped")

    def lets_in(self, data: bytes, host: str) -> bool:
        return True


async def test_trouble_with_one_call_is_not_the_others(tmp_path: Path) -> None:
    clumsy = Clumsy()
    driver = Driver(settings_of(tmp_path), clumsy, time.monotonic)
    driver.open()
    async with exchange(tmp_path / "caller") as caller:
        port = driver.transports.ports[Transport.UDP]
        caller.media.tell(dial("one", port))
        await eventually(lambda: len(clumsy.heard) == 1)
        caller.media.tell(dial("other", port))
        await eventually(lambda: len(clumsy.heard) == 2)
        assert all(isinstance(each, Invited) for each in clumsy.heard)
    await driver.close()
