"""`voicefleet.livekit`: the sample becomes what the server is started on."""

from __future__ import annotations

from pathlib import Path

import yaml

from voicefleet.livekit import effective_config, write_config

SIDECAR = "http://127.0.0.1:8000"
WEBHOOK = f"{SIDECAR}/api/v1/livekit/webhook"
SAMPLE = (Path(__file__).parents[2] / "livekit.yaml").read_text()


def test_ports_and_keys_are_put_into_the_sample() -> None:
    config = effective_config(SAMPLE, port=1, udp_port=2, key="k", secret="s", sidecar_url=SIDECAR)
    assert (config["port"], config["rtc"]["udp_port"], config["keys"]) == (1, 2, {"k": "s"})


def test_sample_stays_on_loopback() -> None:
    config = yaml.safe_load(SAMPLE)
    assert config["bind_addresses"] == ["127.0.0.1"]
    assert config["rtc"]["node_ip"] == "127.0.0.1"
    assert config["rtc"]["tcp_port"] == 0
    assert "keys" not in config


def test_own_keys_and_port_range_are_kept() -> None:
    sample = "rtc: {port_range_start: 50000, port_range_end: 50100}\nkeys: {mine: secret}"
    config = effective_config(sample, port=1, udp_port=2, key="k", secret="s", sidecar_url=SIDECAR)
    assert "udp_port" not in config["rtc"]
    assert config["keys"] == {"mine": "secret", "k": "s"}


def test_empty_sample_will_do() -> None:
    assert effective_config("", port=1, udp_port=2, key="k", secret="s", sidecar_url=SIDECAR) == {
        "port": 1,
        "rtc": {"udp_port": 2},
        "keys": {"k": "s"},
        "webhook": {"api_key": "k", "urls": [WEBHOOK]},
    }


def test_webhooks_of_ones_own_are_kept() -> None:
    sample = "webhook: {api_key: mine, urls: ['https://elsewhere.example/hook']}"
    config = effective_config(sample, port=1, udp_port=2, key="k", secret="s", sidecar_url=SIDECAR)
    urls = ["https://elsewhere.example/hook", WEBHOOK]
    assert config["webhook"] == {"api_key": "mine", "urls": urls}


def test_written_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "run" / "livekit.yaml"
    for port in (1, 2):
        write_config({"port": port}, path)
    assert yaml.safe_load(path.read_text()) == {"port": 2}
    assert path.stat().st_mode & 0o777 == 0o600
