"""Settings come from the environment."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from pydantic import ValidationError

from bridges.settings import Settings


def test_defaults_suit_one_machine() -> None:
    settings = Settings()

    assert (settings.bridge_host, settings.bridge_port) == ("127.0.0.1", 8010)
    assert (settings.bridge_max_calls, settings.trusted_proxies) == (16, ())


def test_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_MAX_CALLS", "4")
    monkeypatch.setenv("TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.7,")
    monkeypatch.setenv("VOXCORE_SECRET", "s3cret")

    settings = Settings()

    assert settings.bridge_max_calls == 4
    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("192.0.2.7/32"))
    assert "s3cret" not in repr(settings)


def test_nonsense_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_MAX_CALLS", "0")

    with pytest.raises(ValidationError, match="bridge_max_calls"):
        Settings()
