"""A fleet of a benchmark's own: free ports, a folder that goes with it, defaults but for what is
given.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from bench.machine import ROOT
from voicefleet.fleet import Fleet, find_server, prepare
from voicefleet.settings import FleetSettings


def new_fleet(folder: Path, environ: Mapping[str, str], *, sip: bool = False) -> Fleet:
    """Return a fleet that keeps everything in `folder`; not started yet."""
    own = FleetSettings(
        voicefleet_home=folder,
        livekit_server=find_server(FleetSettings(), os.environ),
        livekit_config=ROOT / "livekit.yaml",
        livekit_port=0,
        livekit_udp_port=0,
        sidecar_port=0,
        bridge_port=0,
        sip_port=0,
        sip_health_port=0,
        fleet_sip=sip,
    )
    return prepare(own, {"LOG_LEVEL": "WARNING", **environ})


async def save_bot(fleet: Fleet, config: Mapping[str, Any]) -> None:
    """Give a running fleet the bot that `config["bot_id"]` names."""
    headers = {"X-API-Key": fleet.environ["ADMIN_API_KEY"]}
    async with httpx.AsyncClient(base_url=fleet.sidecar_url, trust_env=False) as http:
        path = f"/api/v1/bots/{config['bot_id']}"
        (await http.put(path, json=dict(config), headers=headers)).raise_for_status()
