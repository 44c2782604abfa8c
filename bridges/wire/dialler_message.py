"""What the two ends of the dialler protocol share: its limits, and fields that are its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from bridges.wire.close import CloseCode, ProtocolError
from bridges.wire.message import SAMPLE_BYTES, coerce_number, coerce_text, malformed

MAX_FIELDS = 256
"""Fields of a `connected` message, whatever a CRM adds to it."""

RATE_HZ = 8000
CHUNK_MS = 20
CHUNK_BYTES = RATE_HZ * SAMPLE_BYTES * CHUNK_MS // 1000
MAX_CHUNK_MS = 400
"""Bot audio in one message; a bot asks for more than 20 ms by `stream_message_ms`."""
ENCODINGS = frozenset({"linear", "linear16"})
"""Names of signed 16-bit little-endian PCM, in lower case; diallers say either."""

Direction = Literal["incoming", "outgoing"]


def coerce_direction(fields: Mapping[str, Any]) -> Direction:
    """Return `callDirection`, in any case, also as `inbound`/`outbound`; missing means incoming.

    Raises:
        ProtocolError: anything else.
    """
    value = coerce_text(fields, "callDirection").lower()
    if value in {"incoming", "inbound", ""}:
        return "incoming"
    if value in {"outgoing", "outbound"}:
        return "outgoing"
    raise malformed("callDirection", "incoming or outgoing", value)


def require_linear_8k_mono(fields: Mapping[str, Any]) -> None:
    """Check `mediaFormat`, whose members may be missing: this protocol knows one format only.

    Raises:
        ProtocolError: another encoding, rate or number of channels.
    """
    media_format = fields.get("mediaFormat")
    if media_format is None:
        return
    if not isinstance(media_format, dict):
        raise malformed("mediaFormat", "an object", media_format)
    encoding = media_format.get("encoding", "LINEAR")
    if not isinstance(encoding, str) or encoding.lower() not in ENCODINGS:
        raise ProtocolError(CloseCode.BAD_FORMAT, "mediaFormat.encoding: expected LINEAR")
    if coerce_number(media_format.get("sampleRate", RATE_HZ)) != RATE_HZ:
        raise ProtocolError(CloseCode.BAD_FORMAT, f"mediaFormat.sampleRate: expected {RATE_HZ}")
    if coerce_number(media_format.get("channels", 1)) != 1:
        raise ProtocolError(CloseCode.BAD_FORMAT, "mediaFormat.channels: expected 1")
