"""Whom a call may be transferred to."""

from __future__ import annotations

import pytest

from bridges.sip.transfer import refer_target


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("+91 98765 43210", "+919876543210"),
        ("(011) 4000-0000", "01140000000"),
        ("*21#", "*21#"),
        ("sip:desk@pbx.example;transport=tcp", "sip:desk@pbx.example;transport=tcp"),
        ("SIPS:desk@pbx.example", "SIPS:desk@pbx.example"),
        (" tel:+911140000000 ", "tel:+911140000000"),
        ("", None),
        ("7", None),
        ("the desk", None),
        ("sip:", None),
        ("sip:desk@pbx.example>\r\nX-Evil: 1", None),
        ("http://pbx.example", None),
        ("9" * 40, None),
        ("\u0663" * 8, None),
    ],
)
def test_target_is_a_number_or_a_sip_address(text: str, target: str | None) -> None:
    assert refer_target(text) == target
