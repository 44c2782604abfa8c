"""What the stand-in vendors do: how fast, which words, and which faults."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Vendor(StrEnum):
    """Which of the three."""

    STT = "stt"
    LLM = "llm"
    TTS = "tts"
    REALTIME = "realtime"


class Fault(BaseModel):
    """One thing that goes wrong at one vendor.

    `silent`: takes everything and answers nothing. `reset`: drops the connection mid-stream (STT:
    when it should send its next final; LLM: after three tokens; TTS: after the first audio).
    `http`: refuses the connection or request with `status`. `garbage`: sends something unreadable
    where an answer should be. `drip`: answers ten times slower. `error`: Flux, Soniox and Sarvam
    tell of an error, in their own words, where they should answer. At the voice's WebSocket all but
    `http` hit a context, which is one line of the bot's.
    """

    kind: Literal["silent", "reset", "http", "garbage", "drip", "error"]
    status: int = 500
    times: int | None = None
    """How many connections or requests it hits; None means all."""
    after: int = 1
    """ElevenLabs' voice alone: how many pieces of audio a `reset` comes after."""


class ToolCall(BaseModel):
    """A tool the LLM calls."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class Reply(BaseModel):
    """What the LLM answers where `when` (a regular expression) is found in the last message."""

    when: str = ""
    text: str = ""
    tool_calls: list[ToolCall] = Field(default_factory=list)


class VendorScript(BaseModel):
    """Everything the three vendors are told; may be changed while they run."""

    model_config = ConfigDict(extra="forbid")

    stt_final_ms: float = 150
    """From the arrival of the last loud sample to the final transcript."""
    stt_quiet_ms: float = 80
    """Quiet audio after which speech counts as ended; no final comes before it."""
    stt_interim_ms: float = 200
    transcripts: list[str] = Field(default_factory=list)
    """The words of a connection's turns, in order; stock words after them."""
    references: bool = True
    """Whether transcripts begin with `R<connection> T<turn>`."""
    llm_first_token_ms: float = 200
    llm_token_ms: float = 20
    replies: list[Reply] = Field(default_factory=list)
    """The first that fits is given; a stock reply that echoes the references where none does."""
    llm_caches: list[str] = Field(default_factory=list)
    """The names of prompts that the LLM keeps."""
    tts_first_audio_ms: float = 120
    tts_speed: float = 5.0
    """How much faster than real time audio is made."""
    tts_times: Literal["message", "context"] = "message"
    """Whether character times restart with each message (as the vendor documents) or run on."""
    realtime_first_audio_ms: float = 400
    """From the end of a turn to the first sound of a model that hears and speaks by itself."""
    realtime_speed: float = 5.0
    realtime_connection_s: float | None = None
    """After so long such a model ends the connection, as its vendors do after some minutes."""
    faults: dict[Vendor, Fault] = Field(default_factory=dict)

    def strike(self, vendor: Vendor, *, refusing: bool | None = None) -> Fault | None:
        """Return the fault that hits the next connection or request, counting it.

        Args:
            refusing: look only for faults that refuse (True) or that do not (False).
        """
        fault = self.faults.get(vendor)
        if fault is None or fault.times == 0:
            return None
        if refusing is not None and refusing is not (fault.kind == "http"):
            return None
        if fault.times is not None:
            fault.times -= 1
        return fault

    def change(self, part: dict[str, Any]) -> None:
        """Take over the settings named in `part`.

        Raises:
            pydantic.ValidationError: a name or value is not one of ours; nothing was changed.
        """
        wanted = VendorScript.model_validate(part)
        for name in wanted.model_fields_set:
            setattr(self, name, getattr(wanted, name))
