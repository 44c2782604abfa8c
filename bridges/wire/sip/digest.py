"""Digest authentication (RFC 7616, RFC 8760, RFC 3261 section 22): both ends of it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name and its password; neither appears in a representation."""

    username: str
    password: str = field(repr=False)
