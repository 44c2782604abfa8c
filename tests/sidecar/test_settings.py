"""Settings: names, aliases, lists, defaults."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from sidecar.settings import RETRY_DELAYS_S, Settings

REQUIRED = {"LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "s", "VOXCORE_SECRET": "v"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_defaults_need_nothing_but_secrets(environment: pytest.MonkeyPatch) -> None:
    settings = Settings()
    assert settings.database_url == "sqlite:///.voicefleet/data/voicefleet.db"
    assert settings.recordings_path == Path(".voicefleet/data/recordings")
    assert settings.webhook_delays_s == RETRY_DELAYS_S
    assert sum(RETRY_DELAYS_S) == 75 * 3600 + 35 * 60 + 5


@pytest.mark.parametrize("name", ["CONFIG_URL", "VOXBRIDGE_CONFIG_URL", "CXB_API_CONFIG_URL"])
def test_config_url_has_its_familys_names(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.setenv(name, "https://crm.example/config")
    assert Settings().config_url == "https://crm.example/config"


def test_lists_are_comma_separated(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("TRUSTED_API_ORIGINS", "https://a.example, https://b.example")
    environment.setenv("WEBHOOK_DELAYS_S", "0,1.5")
    settings = Settings()
    assert settings.trusted_api_origins == ["https://a.example", "https://b.example"]
    assert settings.webhook_delays_s == [0.0, 1.5]


@pytest.mark.parametrize("missing", REQUIRED)
def test_missing_secret_is_an_error(environment: pytest.MonkeyPatch, missing: str) -> None:
    environment.delenv(missing)
    with pytest.raises(ValidationError):
        Settings()


def test_proxies_are_addresses_or_networks(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("TRUSTED_PROXIES", "10.1.2.3/8, 192.0.2.1,::1")
    assert Settings().trusted_proxies == ("10.0.0.0/8", "192.0.2.1/32", "::1/128")
    environment.setenv("TRUSTED_PROXIES", "nginx")
    with pytest.raises(ValidationError):
        Settings()


def test_browsers_go_where_bridges_go_unless_told(environment: pytest.MonkeyPatch) -> None:
    assert Settings().browser_url == Settings().livekit_url
    environment.setenv("LIVEKIT_PUBLIC_URL", "wss://voice.example")
    assert Settings().browser_url == "wss://voice.example"
