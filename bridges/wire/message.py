"""What the protocols of JSON over a WebSocket share: messages to fields and back, and limits."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from bridges.wire.close import CloseCode, ProtocolError

MAX_MESSAGE_BYTES = 64 * 1024
MAX_DEPTH = 32
"""Objects within lists within objects; JSON libraries further on give up at some depth."""
MAX_TEXT_CHARS = 256
"""Length of an identifier or number: `callerId`, `stream_sid`, `disconnectedBy`."""
MAX_EVENT_CHARS = 64
MAX_NUMBER_CHARS = 16
SAMPLE_BYTES = 2


def parse_message(
    data: bytes | str, max_bytes: int = MAX_MESSAGE_BYTES
) -> tuple[str, dict[str, Any]]:
    """Return a message's event name and all its fields.

    Raises:
        ProtocolError: binary, too big, not JSON, not an object, or without an event name.
    """
    if isinstance(data, bytes):
        raise ProtocolError(CloseCode.BINARY_FRAME, "expected a text frame, got a binary one")
    size_bytes = len(data) if data.isascii() else len(data.encode(errors="surrogatepass"))
    if size_bytes > max_bytes:
        raise ProtocolError(CloseCode.TOO_BIG, f"message of {size_bytes} bytes, limit {max_bytes}")
    try:
        fields = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ProtocolError(CloseCode.MALFORMED, "message is not JSON") from None
    if not isinstance(fields, dict):
        raise malformed("message", "an object", fields)
    event = fields.get("event")
    if not isinstance(event, str) or not 0 < len(event) <= MAX_EVENT_CHARS:
        raise malformed("event", f"a name of 1 to {MAX_EVENT_CHARS} characters", event)
    return event, fields


def serialize_message(fields: Mapping[str, Any]) -> str:
    """Return a message's text: compact JSON, ASCII only, fields in the order given."""
    return json.dumps(fields, separators=(",", ":"))


def malformed(field: str, expected: str, found: object) -> ProtocolError:
    """Return the error for a field that is not what it should be; it names types, not contents."""
    kind = "nothing" if found is None else type(found).__name__
    return ProtocolError(CloseCode.MALFORMED, f"{field}: expected {expected}, got {kind}")


def coerce_text(fields: Mapping[str, Any], name: str) -> str:
    """Return an identifier. Peers send it as text or as a number, or leave it out (`""`).

    Raises:
        ProtocolError: any other type, too long, or not encodable.
    """
    value = fields.get(name)
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise malformed(name, "text or a whole number", value)
    value = value.strip()
    if len(value) > MAX_TEXT_CHARS:
        raise malformed(name, f"at most {MAX_TEXT_CHARS} characters", value)
    require_encodable(value, name)
    return value


def coerce_number(value: object) -> int | None:
    """Return a whole number, sent as a number (`8000`, `8000.0`) or text (`"8000"`), else None."""
    if isinstance(value, str) and len(value) <= MAX_NUMBER_CHARS and value.strip().isdecimal():
        return int(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1:
        return int(value)
    return None


def decode_audio(fields: Mapping[str, Any]) -> bytes:
    """Return the PCM of a `payload`; any even number of bytes, none included.

    Raises:
        ProtocolError: no payload, not base64, or half a sample.
    """
    pcm = decode_payload(fields)
    if len(pcm) % SAMPLE_BYTES:
        raise ProtocolError(CloseCode.BAD_AUDIO, f"payload: odd number of bytes ({len(pcm)})")
    return pcm


def decode_payload(fields: Mapping[str, Any]) -> bytes:
    """Return what a `payload` holds.

    Raises:
        ProtocolError: no payload, or not base64.
    """
    payload = fields.get("payload")
    if not isinstance(payload, str):
        raise malformed("payload", "base64 text", payload)
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise ProtocolError(CloseCode.BAD_AUDIO, "payload: not base64") from None


def encode_audio(pcm: bytes) -> str:
    """Return PCM as a `payload`."""
    return binascii.b2a_base64(pcm, newline=False).decode("ascii")


def require_encodable(value: object, name: str) -> None:
    """Check that a value survives other JSON libraries: no lone surrogates, infinities, abysses.

    Raises:
        ProtocolError: it would not.
    """
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _members(outer)]
    if level:
        raise ProtocolError(CloseCode.MALFORMED, f"{name}: nested deeper than {MAX_DEPTH}")
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        raise ProtocolError(
            CloseCode.MALFORMED, f"{name}: holds text or numbers that JSON cannot carry"
        ) from None


def _members(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")
