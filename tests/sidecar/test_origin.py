"""`sidecar.origin`: what two URLs have in common when they lead to the same place."""

from __future__ import annotations

import pytest

from sidecar.origin import origin_of


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://crm.example/x", "https://crm.example"),
        ("https://CRM.example:443/x?y=1#z", "https://crm.example"),
        ("http://crm.example:8080/", "http://crm.example:8080"),
        ("https://user:pass@crm.example/", "https://crm.example"),
        ("https://bücher.example/", "https://xn--bcher-kva.example"),
    ],
)
def test_origin_leaves_out_what_is_not_the_origin(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url",
    ["http://", "http://a:x/", "http://\ud800/", "http://a\x00b/", "crm.example", "file:///x", ""],
)
def test_url_that_leads_nowhere_has_none(url: str) -> None:
    assert origin_of(url) == ""
