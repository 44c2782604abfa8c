"""The agent worker's settings, from the environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class AgentSettings(BaseSettings):
    """Everything `python -m agent` reads."""

    model_config = SettingsConfigDict(extra="ignore")

    livekit_url: str = Field(
        default="ws://127.0.0.1:7880", description="LiveKit server's WebSocket address."
    )
    livekit_api_key: str = Field(default="", description="LiveKit API key.")
    livekit_api_secret: str = Field(default="", description="LiveKit API secret.")
    sidecar_url: str = Field(
        default="http://127.0.0.1:8000", description="Where the sidecar's API is."
    )
    voxcore_secret: str = Field(
        default="", description="Shared secret between the parts (`X-VoxCore-Secret`)."
    )
    agent_max_calls: int = Field(
        default=8, ge=1, description="Calls one agent worker serves at once."
    )
    agent_idle_processes: int = Field(
        default=2, ge=0, description="Warm processes kept ready for the next calls."
    )
    agent_preload_vendors: bool = Field(
        default=True,
        description="Whether all vendors' plug-ins are loaded ahead, once for all calls. Without,"
        " a worker starts two seconds sooner, and a call with vendors pays for them itself.",
    )
    agent_recordings_dir: Path = Field(
        default=Path(".voicefleet/agent/recordings"),
        description="Where recordings are written before the sidecar has them. Make it persistent.",
    )
    agent_spool_dir: Path = Field(
        default=Path(".voicefleet/agent/spool"),
        description="Where reports are kept until the sidecar has them. Make it persistent; the"
        " workers of one host may share it.",
    )
    agent_spool_mb: int = Field(
        default=256, ge=1, description="How much of them is kept; beyond it the oldest go."
    )
    recording_keep_local_h: float = Field(
        default=0,
        ge=0,
        description="How long the agent's host keeps recordings that have arrived; 0: not at all.",
    )
    agent_lines_dir: Path = Field(
        default=Path(".voicefleet/agent/lines"),
        description="Where lines that are the same for every caller are kept as audio.",
    )
    agent_lines_mb: int = Field(
        default=64, ge=0, description="How much of them is kept, the least used go first; 0: none."
    )
    allow_private_vendors: bool = Field(
        default=False,
        description="Whether a bot's vendor, tool or MCP server may be at a private address.",
    )
    agent_drain_s: int = Field(
        default=660,
        ge=0,
        description="How long a stopping worker waits for its calls: more than the longest lasts.",
    )
    agent_worker_id: str = Field(
        default="", description="Set by each worker for its own jobs; whatever it was is replaced."
    )
    log_level: str = Field(default="INFO", description="Least severe level that is logged.")
