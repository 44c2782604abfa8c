"""What both ends of Exotel's protocol share: rules of size, and fields in all their spellings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridges.audio.g711 import MU_LAW
from bridges.wire.close import CloseCode, ProtocolError
from bridges.wire.exotel_event import StreamRate
from bridges.wire.message import (
    SAMPLE_BYTES,
    coerce_number,
    coerce_text,
    malformed,
    require_encodable,
)

MAX_STREAM_MESSAGE_BYTES = 160 * 1024
"""Holds the largest chunk there is, in base64, and its fields."""
CHUNK_STEP_BYTES = 320
"""Every chunk is a multiple of this, or gaps are heard."""
MIN_CHUNK_BYTES = 3200
"""By rule; some accounts take less."""
MAX_CHUNK_BYTES = 100_000
"""Of a payload in base64, so that either reading of the rule is kept."""
MAX_PARAMETERS = 64
"""Custom parameters of one call; the applet knows three."""
_FOR_US = frozenset({"token", "sample-rate", "sample_rate"})
"""What the query of the stream's URL says to us comes back among them, secrets and all."""
DEFAULT_RATE_HZ: StreamRate = 8000

_RATES: dict[int, StreamRate] = {8000: 8000, 16000: 16000, 24000: 24000}
_LINEAR = frozenset({"", "raw", "slin", "linear", "linear16", "audio/x-raw", "audio/l16"})
_MU_LAW = frozenset({"mulaw", "x-mulaw", "ulaw", "pcmu", "audio/x-mulaw", "audio/pcmu"})


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """How a stream's payloads hold its audio, both ways.

    Attributes:
        rate_hz: samples a second.
        is_mu_law: whether they are G.711's octets, as on the Legs route; else PCM16.
    """

    rate_hz: StreamRate = DEFAULT_RATE_HZ
    is_mu_law: bool = False

    def pcm_of(self, payload: bytes) -> bytes:
        """Return a payload as PCM16.

        Raises:
            ProtocolError: half a sample.
        """
        if self.is_mu_law:
            return MU_LAW.decode(payload)
        if len(payload) % SAMPLE_BYTES:
            raise ProtocolError(
                CloseCode.BAD_AUDIO, f"payload: odd number of bytes ({len(payload)})"
            )
        return payload

    def payload_of(self, pcm: bytes) -> bytes:
        """Return PCM16 as a payload."""
        return MU_LAW.encode(pcm) if self.is_mu_law else pcm

    def pcm_bytes(self, payload_bytes: int) -> int:
        """Return how much PCM16 a payload of that size holds."""
        return payload_bytes * (SAMPLE_BYTES if self.is_mu_law else 1)


def read_format(start: Mapping[str, Any], url_rate: str) -> StreamFormat:
    """Return what `media_format` says; the rate, where it says none, as the URL asked for it.

    Raises:
        ProtocolError: an encoding or a rate that there is not.
    """
    media_format = first_of(start, "media_format", "mediaFormat")
    if media_format is None:
        media_format = {}
    if not isinstance(media_format, dict):
        raise malformed("media_format", "an object", media_format)
    encoding = coerce_text(media_format, "encoding").lower()
    encoding, _, parameters = encoding.partition(";")
    encoding = encoding.strip()
    if encoding not in _LINEAR | _MU_LAW:
        raise ProtocolError(
            CloseCode.BAD_FORMAT, "media_format.encoding: expected linear PCM or mu-law"
        )
    named = first_of(media_format, "sample_rate", "sampleRate")
    if named in (None, ""):
        named = parameters.strip().removeprefix("rate=") or url_rate or DEFAULT_RATE_HZ
    rate_hz = _RATES.get(coerce_number(named) or 0)
    is_mu_law = encoding in _MU_LAW
    if rate_hz is None or (is_mu_law and rate_hz != DEFAULT_RATE_HZ):
        expected = "8000" if is_mu_law else "8000, 16000 or 24000"
        raise ProtocolError(CloseCode.BAD_FORMAT, f"media_format.sample_rate: expected {expected}")
    return StreamFormat(rate_hz, is_mu_law)


def read_parameters(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return `custom_parameters`, which may be missing; one without any may be a list.

    Raises:
        ProtocolError: not an object, too many, or not encodable.
    """
    parameters = first_of(fields, "custom_parameters", "customParameters")
    if not parameters:
        return {}
    if not isinstance(parameters, dict):
        raise malformed("custom_parameters", "an object", parameters)
    if len(parameters) > MAX_PARAMETERS:
        raise malformed("custom_parameters", f"at most {MAX_PARAMETERS} fields", parameters)
    require_encodable(parameters, "custom_parameters")
    return {name: value for name, value in parameters.items() if name not in _FOR_US}


def part_of(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a message's own object, with what is said beside it where it does not say so itself.

    Raises:
        ProtocolError: there is something else in its place.
    """
    part = fields.get(name)
    if part is None:
        part = {}
    if not isinstance(part, dict):
        raise malformed(name, "an object", part)
    return {**fields, **part}


def text_of(fields: Mapping[str, Any], *names: str) -> str:
    """Return the first of these that says something, as text.

    Raises:
        ProtocolError: one is no text and no whole number, or too long.
    """
    return next((text for name in names if (text := coerce_text(fields, name))), "")


def first_of(fields: Mapping[str, Any], *names: str) -> Any:
    """Return the first of these fields there is."""
    return next((fields[name] for name in names if fields.get(name) is not None), None)
