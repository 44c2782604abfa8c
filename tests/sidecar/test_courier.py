"""One attempt: what is sent, to whom, and what is kept of the answer."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from sidecar.clock import utc_now
from sidecar.courier import KEPT_CHARS, READ_BYTES, Answer
from sidecar.denial import Code, Denied
from sidecar.egress import EgressRefused
from tests.fakes.control_plane import START, FakeClock
from tests.fakes.outbox import SECRET, Receiver, courier, delivery

NEWER = "whsec_bmV3ZXItc2VjcmV0LW9mLXBsYXRmb3Jt"
CLOCK = FakeClock()


def answering(text: str | bytes, **headers: str) -> httpx.Response:
    return httpx.Response(200, content=text, headers=headers)


async def carried(receiver: Receiver, **options: object) -> Answer:
    return await courier(receiver, **options).carry(delivery(CLOCK), START)  # type: ignore[arg-type]


@pytest.mark.parametrize("secret", [SECRET, NEWER])
async def test_delivery_is_signed_with_each_secret(secret: str) -> None:
    receiver = Receiver(204)
    now = utc_now()
    answer = await courier(receiver, secrets=(NEWER, SECRET)).carry(delivery(CLOCK), now)
    (request,) = receiver.requests
    body = Webhook(secret).verify(request.content, dict(request.headers))
    assert body == {"session_id": "s1"}
    assert request.headers["webhook-id"] == "d1"
    assert request.content == b'{"session_id":"s1"}'
    assert answer.is_success


async def test_without_a_secret_nothing_is_signed() -> None:
    receiver = Receiver()
    await carried(receiver, secrets=())
    assert "webhook-signature" not in receiver.requests[0].headers
    assert receiver.requests[0].headers["webhook-id"] == "d1"


async def test_request_goes_to_the_address_that_was_checked() -> None:
    receiver = Receiver()
    await carried(receiver)
    (request,) = receiver.requests
    assert str(request.url) == "https://93.184.215.14/results?x=1"
    assert request.headers["Host"] == "crm.example"
    assert request.extensions["sni_hostname"] == "crm.example"
    # No connection verified for this host is there for another of the same address.
    assert request.headers["Connection"] == "close"


@pytest.mark.parametrize(
    ("origins", "sent"),
    [
        ([], False),
        (["https://crm.example"], True),
        (["https://CRM.example:443/"], True),
        ([""], False),
        (["https://crm.example.evil"], False),
        (["http://crm.example"], False),
        (["https://crm.example:8443"], False),
    ],
)
async def test_service_secret_goes_to_trusted_origins_alone(origins: list[str], sent: bool) -> None:
    receiver = Receiver()
    await carried(receiver, origins=tuple(origins))
    assert ("X-VoxCore-Secret" in receiver.requests[0].headers) is sent


async def test_credentials_and_method_of_a_push_go_along() -> None:
    receiver = Receiver()
    made = delivery(CLOCK, kind="push", method="PATCH")
    given = {"Authorization": "Bearer t0p", "X-Tenant": "7"}
    await courier(receiver, headers=given).carry(made, START)
    (request,) = receiver.requests
    assert request.method == "PATCH"
    assert (request.headers["Authorization"], request.headers["X-Tenant"]) == ("Bearer t0p", "7")
    assert request.headers["webhook-id"] == "d1"
    assert "webhook-signature" in request.headers


async def test_credentials_cannot_change_what_is_sent_or_where() -> None:
    receiver = Receiver()
    ours = {"HOST": "a", "Content-Length": "1", "Webhook-Id": "d2", "content-type": "text/html"}
    theirs = {**ours, "Transfer-Encoding": "chunked", "x-voxcore-secret": "a"}
    await carried(receiver, headers=theirs, origins=("https://crm.example",))
    (request,) = receiver.requests
    assert request.headers.get_list("x-voxcore-secret") == ["service-secret"]
    assert request.headers.get_list("host") == ["crm.example"]
    assert request.headers.get_list("webhook-id") == ["d1"]
    assert request.headers.get_list("content-type") == ["application/json"]
    assert request.headers["content-length"] == str(len(request.content))
    assert "transfer-encoding" not in request.headers


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirect_is_a_failure(status: int) -> None:
    moved = httpx.Response(status, headers={"Location": "https://elsewhere.example"})
    receiver = Receiver(moved)
    answer = await carried(receiver)
    assert (answer.status_code, answer.is_success, len(receiver.requests)) == (status, False, 1)


@pytest.mark.parametrize(
    ("problem", "error"),
    [
        (httpx.ConnectError("refused"), "ConnectError: refused"),
        (httpx.ReadTimeout(""), "ReadTimeout"),
        (httpx.RemoteProtocolError("half"), "RemoteProtocolError: half"),
    ],
)
async def test_no_answer_is_an_error_in_words(problem: Exception, error: str) -> None:
    answer = await carried(Receiver(problem))
    assert (answer.status_code, answer.error) == (None, error)


@pytest.mark.parametrize(
    "problem",
    [
        Denied(Code.CONFIG_UNAVAILABLE, "the config API does not answer"),
        EgressRefused("not there"),
        ValueError("no header"),
    ],
)
async def test_without_credentials_nothing_is_sent(problem: Exception) -> None:
    receiver = Receiver()
    answer = await carried(receiver, headers=problem)
    assert receiver.requests == []
    assert str(problem) in str(answer.error)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_a"])
async def test_unusable_secret_is_a_failed_attempt(secret: str) -> None:
    receiver = Receiver()
    answer = await carried(receiver, secrets=(secret,))
    assert receiver.requests == []
    assert answer.error is not None


async def test_forbidden_address_is_a_failed_attempt() -> None:
    receiver = Receiver()
    made = delivery(CLOCK, url="file:///etc/passwd")
    answer = await courier(receiver).carry(made, START)
    assert receiver.requests == []
    assert "EgressRefused" in str(answer.error)


async def test_receiver_that_never_answers_is_cut_off() -> None:
    async def hang(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    answer = await courier(hang, timeout_s=0.01).carry(delivery(CLOCK), START)
    assert answer.error == "TimeoutError"


async def test_retry_after_is_read() -> None:
    answer = await carried(Receiver(httpx.Response(503, headers={"Retry-After": "60"})))
    assert answer.asked_s == 60
    later = (START + timedelta(seconds=30)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    answer = await carried(Receiver(httpx.Response(503, headers={"Retry-After": later})))
    assert answer.asked_s == 30


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b"thanks", "thanks"),
        (b"a\x00b\xffc", "ab\N{REPLACEMENT CHARACTER}c"),
        (b"x" * 10_000, "x" * KEPT_CHARS),
        ("ü" * 3_000, "ü" * KEPT_CHARS),
        (b"", ""),
    ],
)
async def test_beginning_of_an_answer_is_kept(body: bytes | str, kept: str) -> None:
    assert (await carried(Receiver(answering(body)))).response == kept


async def test_answer_is_not_unpacked() -> None:
    bomb = gzip.compress(b"x" * 10_000_000)
    receiver = Receiver(answering(bomb, **{"Content-Encoding": "gzip"}))
    answer = await carried(receiver)
    assert receiver.requests[0].headers["Accept-Encoding"] == "identity"
    assert "xxxx" not in answer.response


@pytest.mark.parametrize("place", [0, KEPT_CHARS - 5])
async def test_secrets_that_an_answer_repeats_are_not_kept(place: int) -> None:
    echo = " " * place + "Authorization: Bearer t0p-secret; service-secret t0p-secret"
    answer = await carried(
        Receiver(answering(echo)),
        headers={"Authorization": "Bearer t0p-secret"},
        origins=("https://crm.example",),
    )
    for part in ("t0p-sec", "service-sec", "Bear"):
        assert part not in answer.response


class Endless(httpx.AsyncByteStream):
    """A body that goes on, or trickles, or breaks off."""

    def __init__(self, chunk: bytes, pause_s: float, broken: bool = False) -> None:
        self._chunk = chunk
        self._pause_s = pause_s
        self._broken = broken
        self.sent = 0
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.sent += len(self._chunk)
            yield self._chunk
            await asyncio.sleep(self._pause_s)
            if self._broken:
                raise httpx.ReadError("reset")

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("stream", "kept"),
    [
        (Endless(b"x" * 1000, 0), "x" * KEPT_CHARS),
        (Endless(b"y", 60), "y"),
        (Endless(b"half", 0, broken=True), "half"),
    ],
    ids=["endless", "trickling", "broken off"],
)
async def test_status_counts_whatever_becomes_of_the_body(stream: Endless, kept: str) -> None:
    answer = await carried(Receiver(httpx.Response(202, stream=stream)), timeout_s=0.05)
    assert (answer.status_code, answer.is_success, answer.response) == (202, True, kept)
    assert stream.sent <= READ_BYTES + 1000
    assert stream.closed
