"""LiveKit's server API: the vendor's client, and every exception it raises as a value of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import aiohttp
from livekit import api

REQUEST_TIMEOUT_S = 5.0
VENDOR_ERRORS = (api.TwirpError, aiohttp.ClientError, TimeoutError)
"""Everything LiveKit's client raises."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that came to nothing.

    Attributes:
        code: LiveKit's own word (`not_found`, `unavailable` …), or what kept it from answering.
        is_temporary: nobody answered, or the server itself failed: trying again may help.
        text: what was said beside, for a person.
        sip_status_code: a carrier's final answer, where there was one.
    """

    code: str
    is_temporary: bool
    text: str = ""
    sip_status_code: int | None = None


def failure_of(error: Exception) -> Failure:
    """Return what one of `VENDOR_ERRORS` means."""
    match error:
        case api.SipCallError():
            text = error.sip_status or error.message
            return Failure(error.code, False, text, error.sip_status_code)
        case api.TwirpError():
            return Failure(error.code, error.status >= 500, error.message)
        case _:
            return Failure(type(error).__name__, True)


class LiveKitApi:
    """One server's API. Close it with `aclose`.

    Args:
        ours: makes the exception to raise for a failure.
    """

    def __init__(
        self, url: str, api_key: str, api_secret: str, ours: Callable[[Failure], Exception]
    ) -> None:
        self._url = url
        self._api_key = api_key
        self._api_secret = api_secret
        self._ours = ours

    @contextmanager
    def asked(self, *, is_fine_if_gone: bool = False) -> Iterator[api.LiveKitAPI]:
        """Give the vendor's client, and turn its exceptions into ours.

        Args:
            is_fine_if_gone: what is not found is no failure.
        """
        try:
            yield self._client
        except VENDOR_ERRORS as error:
            failure = failure_of(error)
            if not (is_fine_if_gone and failure.code == api.TwirpErrorCode.NOT_FOUND):
                raise self._ours(failure) from error

    async def aclose(self) -> None:
        """Close the connections, if any were opened."""
        if "_client" in self.__dict__:
            await self._client.aclose()

    @cached_property
    def _client(self) -> api.LiveKitAPI:
        # The vendor's client binds to the running loop, so it is made at the first use.
        return api.LiveKitAPI(
            self._url,
            self._api_key,
            self._api_secret,
            timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
            failover=False,
        )
