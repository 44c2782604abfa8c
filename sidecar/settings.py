"""The sidecar's settings: environment variables, read once at start."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AliasChoices, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from sidecar.exotel_url import Place
from sidecar.signing import secrets_of

HOUR_S = 3600.0
RETRY_DELAYS_S = [
    0.0, 5.0, 300.0, 1800.0, 2 * HOUR_S, 5 * HOUR_S,
    10 * HOUR_S, 14 * HOUR_S, 20 * HOUR_S, 24 * HOUR_S,
]  # fmt: skip


class Settings(BaseSettings):
    """What an operator can set."""

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True)

    livekit_url: str = Field(
        default="ws://127.0.0.1:7880", description="LiveKit server, as bridges and agents reach it."
    )
    livekit_public_url: str = Field(
        default="", description="LiveKit server, as browsers reach it; empty: `LIVEKIT_URL`."
    )
    livekit_api_key: str = Field(min_length=1, description="LiveKit API key.")
    livekit_api_secret: str = Field(min_length=1, description="LiveKit API secret.")
    voxcore_secret: str = Field(
        min_length=1, description="Shared secret between services (`X-VoxCore-Secret`)."
    )
    log_level: str = Field(default="INFO", description="Least severe level that is logged.")

    sidecar_host: str = Field(default="127.0.0.1", description="Address to listen on.")
    sidecar_port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on.")
    public_url: str = Field(
        default="http://127.0.0.1:8000",
        description="How the outside reaches the sidecar; recording links begin with it.",
    )
    web_dir: Path = Field(
        default=Path("web/dist"), description="Folder of the widget and the dialler page, as built."
    )
    data_dir: Path = Field(
        default=Path(".voicefleet/data"), description="Folder of the database and recordings."
    )
    database_url: str = Field(
        default="", description="`sqlite:///…` or `postgresql://…`; empty: SQLite in `DATA_DIR`."
    )
    recordings_dir: Path | None = Field(
        default=None, description="Folder of recordings; unset: `DATA_DIR`/recordings."
    )
    s3_bucket: str = Field(
        default="", description="Bucket for recordings, in S3 of any provider; empty: the folder."
    )
    s3_endpoint_url: str = Field(
        default="",
        description="The provider's address, as sidecar and agents' hosts reach it; empty: AWS.",
    )
    s3_region: str = Field(default="us-east-1", description="The bucket's region.")
    s3_access_key_id: str = Field(
        default="", description="Key id for it; empty: what the machine itself has, such as a role."
    )
    s3_secret_access_key: str = Field(default="", description="The key's secret.")
    config_url: str = Field(
        default="",
        validation_alias=AliasChoices("CONFIG_URL", "VOXBRIDGE_CONFIG_URL", "CXB_API_CONFIG_URL"),
        description="Base URL of an external config API; empty: the sidecar's own bots.",
    )
    config_timeout_s: float = Field(
        default=3.0, gt=0, description="How long the external config API may take."
    )
    max_concurrent_calls: int = Field(
        default=16, ge=1, description="Calls at once, whatever agents and bridges could carry."
    )
    web_max_calls: int = Field(
        default=0, ge=0, description="Calls of browsers at once; 0: any number of all there may be."
    )
    web_join_timeout_s: float = Field(
        default=3.0,
        gt=0,
        le=30,
        description="How long a browser waits for its agent, before it is told that there is none.",
    )
    web_token_ttl_s: int = Field(
        default=300, ge=30, le=3600, description="How long a browser may join with its token."
    )
    widget_starts_per_minute: int = Field(
        default=10,
        ge=1,
        description="Calls that one address may ask each sidecar for a minute with a widget's key.",
    )
    widget_bot_starts_per_minute: int = Field(
        default=120, ge=1, description="The same for all visitors of one bot together."
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Addresses or networks, separated by commas, whose `X-Forwarded-For` names "
        "the peer.",
    )
    stream_public_url: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description="Comma-separated `wss://…` under which Exotel reaches the bridges, each with"
        " its bridge's host name before it if there are several (`box1=wss://a.example.com`);"
        " empty: the host of Exotel's own request.",
    )
    call_starts_per_s: float = Field(
        default=4.0,
        ge=0,
        description="Calls that each sidecar lets start a second, after two at once; the others"
        " wait up to four seconds, so that starts do not stall calls that talk. 0: no limit.",
    )
    stream_anonymous: bool = Field(
        default=False,
        description="Whether diallers may come without a token to bots that name none.",
    )
    admin_api_key: str = Field(
        default="", description="Opens every operator route as `X-API-Key`; empty: no such key."
    )
    recovery_grace_s: float = Field(
        default=60.0,
        ge=0,
        description="How long after a start nothing is ended or replaced, unless every worker and"
        " bridge has handed in what it kept meanwhile.",
    )
    max_room_s: float = Field(
        default=14_400.0,
        gt=0,
        description="How long a call's room may last, also when a person has taken it over.",
    )
    aftercall_deadline_s: float = Field(
        default=60.0,
        ge=0,
        description="How long a result waits for analysis and QC; later they amend it.",
    )
    retention_days: int = Field(
        default=0,
        ge=0,
        description="Calls older than this are erased, recordings and all; 0: never.",
    )
    claim_timeout_s: float = Field(
        default=1.5, gt=0, description="How long an agent may take to claim a call."
    )
    settle_s: float = Field(
        default=5.0, ge=0, description="How long an ended call waits for its agent's last report."
    )
    plan_expiry_s: float = Field(
        default=30.0, gt=0, description="How long an unanswered call keeps its slot unheard of."
    )
    default_country: str = Field(
        default="",
        pattern=r"^([A-Z]{2})?$",
        description="Whose numbers are dialled without a country's code (ISO 3166: `IN`); empty:"
        " nobody's.",
    )
    ringing_timeout_s: float = Field(
        default=45.0, ge=5, le=300, description="How long a phone that we call may ring."
    )
    queue_max_s: float = Field(
        default=300.0,
        ge=0,
        description="How long a call of `POST /call/outbound` may wait for a free slot.",
    )
    standby_agents: int = Field(
        default=0,
        ge=0,
        description="Agents that wait in rooms of their own for callers who are answered at once.",
    )
    standby_max_age_s: float = Field(
        default=600.0, gt=0, description="How long an agent waits before a fresh one replaces it."
    )
    result_signing_secret: str = Field(
        default="",
        description="Signs results (`whsec_…`, Standard Webhooks); several while one replaces"
        " another, the newest first; empty: unsigned.",
    )
    allow_private_webhooks: bool = Field(
        default=False,
        description="Whether CRMs and receivers of results may be at private addresses.",
    )
    allow_private_vendors: bool = Field(
        default=False,
        description="Whether a bot's vendor, tool or MCP server may be at a private address.",
    )
    allow_private_trunks: bool = Field(
        default=True,
        description="Whether a trunk's carrier or PBX may be at a private or loopback address.",
    )
    managed_sip: bool = Field(
        default=True,
        description="Whether LiveKit SIP is told of trunks of kind `managed`; without one of them"
        " nothing is asked of it.",
    )
    managed_sip_owner: str = Field(
        default="voicefleet",
        pattern=r"^[A-Za-z0-9_.-]{1,40}$",
        description="Marks our trunks and rules at LiveKit SIP; installations that share one need"
        " different marks.",
    )
    managed_sip_ringing_s: int = Field(
        default=20,
        ge=1,
        le=180,
        description="How long LiveKit SIP lets a caller ring when no agent comes; then busy (486).",
    )
    secrets_dir: Path | None = Field(
        default=None,
        description="Folder of files that `secret://name` in bots, trunks and vendors' keys leads"
        " to: the default tenant's, and a folder for each other's; unset: such names are refused.",
    )
    trusted_api_origins: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description="Comma-separated origins (`https://host[:port]`) that get the service secret.",
    )
    webhook_timeout_s: float = Field(
        default=15.0, gt=0, description="How long a receiver of results may take."
    )
    webhook_delays_s: Annotated[list[float], NoDecode] = Field(
        default=RETRY_DELAYS_S,
        min_length=1,
        description="Comma-separated seconds before each attempt to deliver a result.",
    )
    webhook_per_destination: int = Field(
        default=4,
        ge=1,
        description="Attempts at once per receiver (`https://host[:port]`), over all sidecars.",
    )

    @field_validator(
        "stream_public_url",
        "trusted_api_origins",
        "trusted_proxies",
        "webhook_delays_s",
        mode="before",
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return [item.strip() for item in value.split(",") if item.strip()]
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(ip_network(text, strict=False)) for text in value)

    @field_validator("stream_public_url")
    @classmethod
    def _are_places(cls, value: list[str]) -> list[str]:
        for text in value:
            Place.parse(text)
        return value

    @field_validator("result_signing_secret")
    @classmethod
    def _signs(cls, value: str) -> str:
        secrets_of(value)
        return value

    @model_validator(mode="after")
    def _places_in_data_dir(self) -> Self:
        if not self.database_url:
            self.database_url = f"sqlite:///{self.data_dir}/voicefleet.db"
        if self.recordings_dir is None:
            self.recordings_dir = self.data_dir / "recordings"
        return self

    @property
    def browser_url(self) -> str:
        """The LiveKit server, as browsers reach it."""
        return self.livekit_public_url or self.livekit_url

    @property
    def recordings_path(self) -> Path:
        """The folder of recordings, with its default applied."""
        return self.recordings_dir or self.data_dir / "recordings"
