"""The SIP bridge's settings, each an environment variable of the same name in capitals.

Signalling and media processes read the same ones; a media process finds its own part of the RTP
ports in `RTP_PORT_START` and `RTP_PORT_END`.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Network = IPv4Network | IPv6Network

LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
RTP_PORTS_PER_CALL = 2
"""RTP and RTCP."""


class SipSettings(BaseSettings):
    """What one address's signalling process and its media processes run on."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    sip_host: str = Field(
        default="127.0.0.1", description="Address on which carriers and phones reach us."
    )
    sip_port: int = Field(
        default=5060,
        ge=0,
        le=65535,
        description="Port of that address, for UDP and TCP alike; 0 takes a free one.",
    )
    sip_tls_port: int = Field(
        default=5061,
        ge=0,
        le=65535,
        description="Port for TLS, where there is a certificate; 0 takes a free one.",
    )
    sip_tls_cert: Path | None = Field(
        default=None,
        description="Our certificate and its chain (PEM); unset: no TLS listener.",
    )
    sip_tls_key: Path | None = Field(
        default=None, description="Its key (PEM); unset: it is in the certificate's file."
    )
    sip_tls_verify: bool = Field(
        default=True,
        description="Whether carriers called over TLS must show a certificate for their name that"
        " an authority vouches for.",
    )
    sip_tls_ca: Path | None = Field(
        default=None,
        description="The authorities (PEM) that count, beside the system's.",
    )
    sip_advertised_address: str = Field(
        default="",
        description="The address peers are told (Via, Contact, SDP): the public one behind a NAT;"
        " unset: `SIP_HOST`.",
    )
    sip_domain: str = Field(
        default="",
        description="The host of `From` where a trunk names none, and the realm we ask"
        " credentials for; unset: the advertised address.",
    )
    sip_allowed_peers: Annotated[tuple[Network, ...], NoDecode] = Field(
        default=LOOPBACK,
        description="Addresses or networks, separated by commas, that may call in without a trunk"
        " that admits them.",
    )
    sip_unknown_peers: Literal["drop", "403"] = Field(
        default="drop",
        description="What others get: no answer at all (`drop`), or `403`.",
    )
    sip_digest_algorithms: Annotated[tuple[Literal["SHA-256", "MD5"], ...], NoDecode] = Field(
        default=("MD5",),
        min_length=1,
        description="What callers prove their password by, separated by commas, the best first:"
        " `SHA-256`, `MD5`. Phones should pass over what they do not know, but some give up at it.",
    )
    sip_answer_within_s: float = Field(
        default=5.0,
        gt=0,
        le=30,
        description="After so long a caller is answered even if the agent is not there yet.",
    )
    sip_state_dir: Path = Field(
        default=Path(".voicefleet/sip"),
        description="Where answered calls are kept so that they can be hung up after a crash. Make"
        " it persistent; one signalling process at a time uses it.",
    )
    sip_media_processes: int = Field(
        default=1, ge=1, le=64, description="How many media processes carry the calls."
    )
    sip_media_max_calls: int = Field(
        default=8, ge=1, le=100, description="Calls one media process carries."
    )
    rtp_port_start: int = Field(
        default=41000,
        ge=1024,
        le=65534,
        description="First port of the RTP range, which media processes share out.",
    )
    rtp_port_end: int = Field(default=42000, ge=1025, le=65535, description="Its last port.")
    rtp_any_source: bool = Field(
        default=False,
        description="Whether media may come from another address than the SDP or the signalling"
        " names. Phones behind a NAT need it; whoever guesses a port can then speak into a call.",
    )
    sip_session_expires_s: int = Field(
        default=1800,
        ge=0,
        description="How often an answered call is refreshed, so that one whose far end has died"
        " is noticed (RFC 4028); 0: we never ask for it.",
    )
    sip_no_media_s: float = Field(
        default=10.0, gt=0, description="How long an answered call may bring no RTP at all."
    )
    sip_media_timeout_s: float = Field(
        default=30.0, gt=0, description="How long RTP may stay away later, unless held."
    )
    sip_health_host: str = Field(
        default="127.0.0.1", description="Address of `/health` and `/metrics`."
    )
    sip_health_port: int = Field(
        default=8011, ge=0, le=65535, description="Port of that address; 0 takes a free one."
    )
    sip_drain_s: float = Field(
        default=600.0,
        ge=0,
        description="How long SIGTERM waits for calls before it hangs up.",
    )
    bridge_goodbye_clip: Path | None = Field(
        default=None,
        description="What callers hear before the line drops where the platform fails (WAV, 16 bit,"
        " mono, 8 kHz); unset: an English sentence.",
    )
    bridge_spool_mb: int = Field(
        default=64,
        ge=1,
        description="How much of the reports that wait for the sidecar, in"
        " `SIP_STATE_DIR`, is kept; beyond it the oldest go.",
    )
    sidecar_url: str = Field(
        default="http://127.0.0.1:8000", description="Where the sidecar answers."
    )
    voxcore_secret: SecretStr = Field(
        default=SecretStr(""), description="Shared secret between the platform's processes."
    )
    log_level: str = Field(
        default="INFO",
        description="DEBUG, INFO, WARNING or ERROR; DEBUG shows every SIP message, credentials"
        " masked.",
    )

    @field_validator("sip_allowed_peers", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(ip_network(part, strict=False) for part in _parts(value))
        return value

    @field_validator("sip_digest_algorithms", mode="before")
    @classmethod
    def _algorithms(cls, value: object) -> object:
        return tuple(_parts(value.upper())) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.sip_advertised_address and ip_address(self.sip_host).is_unspecified:
            raise ValueError("SIP_ADVERTISED_ADDRESS is needed: SIP_HOST is every address")
        needed = self.sip_media_processes * self.sip_media_max_calls * RTP_PORTS_PER_CALL
        if self.rtp_port_end - self.rtp_port_start + 1 < needed:
            raise ValueError(f"RTP_PORT_START to RTP_PORT_END must be {needed} ports or more")
        return self

    @field_validator("sip_host")
    @classmethod
    def _is_address(cls, value: str) -> str:
        return str(ip_address(value))

    @field_validator("sip_advertised_address")
    @classmethod
    def _is_address_or_unset(cls, value: str) -> str:
        # Media are sent to it, and phones do not look up names for that.
        return str(ip_address(value)) if value else value

    @property
    def advertised_host(self) -> str:
        """The address peers are told; IPv6 without brackets."""
        return self.sip_advertised_address or self.sip_host

    @property
    def domain(self) -> str:
        """The host of `From` and the realm, where no trunk names one."""
        return self.sip_domain or self.advertised_host

    def media_ports(self, index: int) -> tuple[int, int]:
        """Return the first and last RTP port of a media process, the first even."""
        total = self.rtp_port_end - self.rtp_port_start + 1
        share = total // self.sip_media_processes // RTP_PORTS_PER_CALL * RTP_PORTS_PER_CALL
        first = self.rtp_port_start + self.rtp_port_start % 2 + index * share
        return first, min(first + share - 1, self.rtp_port_end)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
