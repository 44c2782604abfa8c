"""The command line's own settings; what the parts read stands in their packages."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class FleetSettings(BaseSettings):
    """What `voicefleet` itself reads from the environment."""

    model_config = SettingsConfigDict(extra="ignore")

    voicefleet_home: Path = Field(
        default=Path(".voicefleet"),
        description="Folder of everything `voicefleet` writes: secrets, logs, data, programs.",
    )
    livekit_server: Path | None = Field(
        default=None,
        description="The livekit-server program; unset: `VOICEFLEET_HOME`/bin, else PATH.",
    )
    livekit_config: Path = Field(
        default=Path("livekit.yaml"),
        description="The LiveKit server's configuration; ports and keys are filled in.",
    )
    livekit_port: int = Field(
        default=7880, ge=0, le=65535, description="Port of the LiveKit server that `up` starts."
    )
    livekit_udp_port: int = Field(
        default=7882, ge=0, le=65535, description="Its one UDP port for media."
    )
    sidecar_port: int = Field(
        default=8000, ge=0, le=65535, description="Port of the sidecar that `up` starts."
    )
    bridge_port: int = Field(
        default=8010, ge=0, le=65535, description="Port of the bridge that `up` starts."
    )
    fleet_sip: bool = Field(
        default=True, description="Whether `up` starts the SIP bridge, for phones and carriers."
    )
    sip_port: int = Field(
        default=5060, ge=0, le=65535, description="Port of the SIP bridge, UDP and TCP."
    )
    sip_health_port: int = Field(
        default=8011, ge=0, le=65535, description="Port of its `/health` and `/metrics`."
    )
    sip_demo_bot: str = Field(
        default="appointment_desk",
        description="The bot that `up` lets answer `sip:demo@…`, unless that number is taken.",
    )
    bots_dir: Path = Field(
        default=Path("bots"), description="Folder whose bots `up` imports at start."
    )
    sidecar_url: str = Field(
        default="",
        description="Sidecar that `call`, `bots`, `calls` and `deliveries` talk to; empty: the"
        " local one.",
    )
    bridge_url: str = Field(
        default="", description="Bridge that `call` dials (`ws://…`); empty: the local one."
    )
    admin_api_key: str = Field(
        default="", description="Key for the sidecar; empty: the one in `secrets.env`."
    )
