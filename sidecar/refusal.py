"""What a call to the sidecar may raise, split by what the caller can do about it.

SidecarError
├── Refused       the sidecar answered no; asking again as it is will not help
└── Unavailable   no usable answer; asking again may help
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class SidecarError(Exception):
    """Anything that keeps the sidecar from doing what was asked."""


class Refused(SidecarError):
    """The sidecar said no.

    Attributes:
        status: the HTTP status.
        code: the stable slug of the one error body (`at_capacity`, `stale_incarnation` …).
        message: what happened, for a person.
        retry_after_s: when asking again makes sense, where the sidecar named a time.
        details: facts beside the message.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        retry_after_s: float | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s
        self.details = dict(details or {})


_PASSING = frozenset({401, 403, 408, 425, 429})
"""A wrong secret is put right, a busy sidecar calms down."""


def is_final(refused: Refused) -> bool:
    """Return whether the same request would be refused for ever."""
    return 400 <= refused.status < 500 and refused.status not in _PASSING


class Unavailable(SidecarError):
    """No answer, or none of ours: the network, a proxy or a dying process stood between. Retry."""
