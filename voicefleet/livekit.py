"""The LiveKit server's effective configuration: `livekit.yaml` and what `up` knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


def effective_config(
    sample: str, *, port: int, udp_port: int, key: str, secret: str, sidecar_url: str
) -> dict[str, Any]:
    """Return the configuration with ports, keys and the sidecar's address put in."""
    config = yaml.safe_load(sample) or {}
    rtc = config.setdefault("rtc", {})
    if "port_range_start" not in rtc:
        rtc["udp_port"] = udp_port
    config["port"] = port
    config["keys"] = {**(config.get("keys") or {}), key: secret}
    webhook = config.setdefault("webhook", {})
    webhook.setdefault("api_key", key)
    webhook["urls"] = [*webhook.get("urls", []), f"{sidecar_url}/api/v1/livekit/webhook"]
    return config


def write_config(config: dict[str, Any], path: Path) -> None:
    """Write it where only its owner can read it: it holds the secret."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
