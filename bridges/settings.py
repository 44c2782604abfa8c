"""The bridge's settings, each an environment variable of the same name in capitals."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bridges.wire import exotel
from bridges.wire.dialler import HANDSHAKE_TIMEOUT_S, MEDIA_TIMEOUT_S

Network = IPv4Network | IPv6Network


class Settings(BaseSettings):
    """What one bridge process runs on."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    bridge_host: str = Field(
        default="127.0.0.1", description="Address on which diallers and load balancers connect."
    )
    bridge_port: int = Field(
        default=8010, ge=0, le=65535, description="Port of that address; 0 takes a free one."
    )
    bridge_max_calls: int = Field(
        default=16,
        ge=1,
        description="Calls this process carries; above it, 503 before the upgrade.",
    )
    bridge_drain_s: float = Field(
        default=600.0, ge=0, description="How long SIGTERM waits for calls before it ends them."
    )
    bridge_handshake_timeout_s: float = Field(
        default=HANDSHAKE_TIMEOUT_S,
        gt=0,
        description="From a dialler's connection to its `answer`. Raise it where the dialler "
        "connects while the phone still rings.",
    )
    bridge_media_timeout_s: float = Field(
        default=MEDIA_TIMEOUT_S,
        gt=0,
        description="How long an answered dialler may send no `media` before its call is ended.",
    )
    bridge_exotel_media_timeout_s: float = Field(
        default=exotel.MEDIA_TIMEOUT_S,
        gt=0,
        description="How long Exotel may send no `media` before its call is ended.",
    )
    bridge_spool_dir: Path = Field(
        default=Path(".voicefleet/bridge/spool"),
        description="Where reports are kept until the sidecar has them. Make it persistent; the"
        " bridges of one host may share it.",
    )
    bridge_spool_mb: int = Field(
        default=64, ge=1, description="How much of them is kept; beyond it the oldest go."
    )
    bridge_goodbye_clip: Path | None = Field(
        default=None,
        description="What callers hear before the line drops where the platform fails (WAV, 16 bit,"
        " mono, 8 kHz); unset: an English sentence.",
    )
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = Field(
        default=(),
        description="Addresses or networks, separated by commas, whose `X-Forwarded-For` names "
        "the peer.",
    )
    sidecar_url: str = Field(
        default="http://127.0.0.1:8000", description="Where the sidecar answers."
    )
    voxcore_secret: SecretStr = Field(
        default=SecretStr(""), description="Shared secret between the platform's processes."
    )
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR.")

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value
