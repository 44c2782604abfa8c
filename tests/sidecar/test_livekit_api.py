"""LiveKit's client behind our own words: every exception of the vendor's, and what stays a bug."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import aiohttp
import livekit.api
import pytest
from livekit import api

from sidecar.livekit_api import VENDOR_ERRORS, Failure, LiveKitApi

BUSY = {"sip_status_code": "486", "sip_status": "Busy Here"}


class OursError(Exception):
    """What a failure is to us."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure


def a_livekit() -> LiveKitApi:
    return LiveKitApi("ws://127.0.0.1:1", "devkey", "secret-of-at-least-32-characters!", OursError)


def vendor_exceptions() -> set[type[Exception]]:
    modules = [
        importlib.import_module(module.name)
        for module in pkgutil.walk_packages(livekit.api.__path__, "livekit.api.")
    ]
    return {
        member
        for module in modules
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, Exception) and member.__module__.startswith("livekit.api")
    }


def test_every_exception_of_the_vendor_is_known() -> None:
    found = vendor_exceptions()
    assert {api.TwirpError, api.SipCallError} <= found
    assert {error for error in found if not issubclass(error, VENDOR_ERRORS)} == set()


@pytest.mark.parametrize(
    ("vendor", "failure"),
    [
        (
            api.SipCallError("resource_exhausted", "m", status=429, metadata=BUSY),
            Failure(
                "resource_exhausted", is_temporary=False, text="Busy Here", sip_status_code=486
            ),
        ),
        (
            # A carrier's 5xx is its last word, too.
            api.SipCallError("internal", "m", status=500),
            Failure("internal", is_temporary=False, text="m"),
        ),
        (api.TwirpError("canceled", "", status=408), Failure("canceled", is_temporary=False)),
        (
            api.TwirpError("unavailable", "no response", status=503),
            Failure("unavailable", is_temporary=True, text="no response"),
        ),
        (
            aiohttp.ClientConnectionError(),
            Failure("ClientConnectionError", is_temporary=True),
        ),
        (TimeoutError(), Failure("TimeoutError", is_temporary=True)),
    ],
)
async def test_vendor_s_exception_becomes_ours(vendor: Exception, failure: Failure) -> None:
    livekit = a_livekit()
    with pytest.raises(OursError) as caught, livekit.asked():
        raise vendor
    assert caught.value.failure == failure
    assert caught.value.__cause__ is vendor
    await livekit.aclose()


async def test_what_is_gone_is_fine_where_it_may_be() -> None:
    livekit = a_livekit()
    with livekit.asked(is_fine_if_gone=True):
        raise api.TwirpError("not_found", "m", status=404)
    with pytest.raises(OursError), livekit.asked(is_fine_if_gone=True):
        raise api.TwirpError("unauthenticated", "m", status=401)
    with pytest.raises(OursError), livekit.asked():
        raise api.TwirpError("not_found", "m", status=404)
    await livekit.aclose()


async def test_bug_stays_what_it_is() -> None:
    livekit = a_livekit()
    with pytest.raises(KeyError), livekit.asked():
        raise KeyError("a bug")
    await livekit.aclose()


async def test_client_is_made_once_and_not_before_it_is_needed() -> None:
    await a_livekit().aclose()
    livekit = a_livekit()
    with livekit.asked() as first, livekit.asked() as second:
        assert first is second
    await livekit.aclose()
