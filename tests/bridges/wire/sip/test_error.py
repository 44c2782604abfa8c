"""What a peer did wrong says how it is answered."""

from __future__ import annotations

from bridges.wire.sip.error import ProtocolError


def test_error_tells_reason_and_status() -> None:
    assert (ProtocolError("expected a URI").status, str(ProtocolError("x"))) == (400, "x")
    assert ProtocolError("expected sip", 416).status == 416
    assert ProtocolError("expected sip").reason == "expected sip"
