"""Each ending has a close code, and each error an ending."""

from __future__ import annotations

import pytest

from bridges.ending import CLOSE_CODES, Ending, broken_protocol, refused_plan
from bridges.wire.close import CloseCode, ProtocolError
from contracts.outcome import Reason
from sidecar.client import Refused, SidecarError, Unavailable
from tests.fakes.leg import AT


def test_every_reason_has_a_close_code() -> None:
    assert set(CLOSE_CODES) == set(Reason)


def test_code_of_an_ending_may_be_more_precise_than_its_reason() -> None:
    assert Ending(Reason.BOT_ENDED, AT).close_code is CloseCode.NORMAL
    assert Ending(Reason.BRIDGE_LOST, AT, code=CloseCode.INTERNAL).close_code == 1011


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (CloseCode.HANDSHAKE_TIMEOUT, Reason.HANDSHAKE_TIMEOUT),
        (CloseCode.MEDIA_TIMEOUT, Reason.MEDIA_TIMEOUT),
        (CloseCode.BAD_AUDIO, Reason.PROTOCOL_BROKEN),
        (CloseCode.TOO_BIG, Reason.PROTOCOL_BROKEN),
    ],
)
def test_broken_protocol_keeps_its_code(code: CloseCode, reason: Reason) -> None:
    ending = broken_protocol(ProtocolError(code, "why"), AT)

    assert ending == Ending(reason, AT, "why", code)
    assert ending.close_code is code


@pytest.mark.parametrize(
    ("error", "reason", "code"),
    [
        (Refused(401, "unauthorised", "no"), Reason.UNAUTHORISED, 4401),
        (Refused(404, "bot_unknown", "no"), Reason.BOT_UNKNOWN, 4404),
        (Refused(422, "config_invalid", "no"), Reason.CONFIG_INVALID, 4503),
        (Refused(429, "at_capacity", "no", 5.0), Reason.AT_CAPACITY, 4429),
        (Refused(503, "outside_hours", "no"), Reason.OUTSIDE_HOURS, 4403),
        (Refused(503, "no_agent", "no"), Reason.NO_AGENT, 1013),
        (Refused(503, "config_unavailable", "no"), Reason.CONFIG_UNAVAILABLE, 4503),
        (Refused(418, "teapot", "no"), Reason.PIPELINE_FAILED, 1011),
        (Unavailable("no answer"), Reason.CONFIG_UNAVAILABLE, 4503),
    ],
)
def test_refused_plan_tells_the_peer_why(error: SidecarError, reason: Reason, code: int) -> None:
    ending = refused_plan(error, AT)

    assert (ending.reason, ending.close_code) == (reason, code)
    assert ending.detail
