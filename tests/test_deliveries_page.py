"""The receiver in `docs/deliveries.md` works as it stands there."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from sidecar.clock import utc_now
from sidecar.settings import RETRY_DELAYS_S
from tests.fakes.control_plane import FakeClock
from tests.fakes.outbox import SECRET, courier, delivery

PAGE = Path(__file__).parents[1] / "docs" / "deliveries.md"
NEWER = "whsec_bmV3ZXItc2VjcmV0LW9mLXBsYXRmb3Jt"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the page's code defines, with one secret."""
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    return names


@pytest.mark.parametrize(
    ("secrets", "status"), [((SECRET,), 204), ((NEWER, SECRET), 204), ((NEWER,), 401), ((), 401)]
)
async def test_receiver_takes_what_is_signed_with_its_secret(
    receiver: dict[str, Any], secrets: tuple[str, ...], status: int
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(receiver["receive"](dict(request.headers), request.content))

    carrying = courier(answer, secrets=secrets)
    for _ in range(2):
        assert (await carrying.carry(delivery(FakeClock()), utc_now())).status_code == status
    taken = {"d1": {"session_id": "s1"}} if status == 204 else {}
    assert receiver["received"] == taken


def test_schedule_is_the_one_on_the_page() -> None:
    text = " ".join(PAGE.read_text().split())
    assert "At once, then after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h" in text
    hours = [2, 5, 10, 14, 20, 24]
    assert [0, 5, 300, 1800, *(3600 * each for each in hours)] == RETRY_DELAYS_S
    total = timedelta(seconds=sum(RETRY_DELAYS_S))
    assert timedelta(0) <= total - timedelta(hours=75, minutes=35) < timedelta(minutes=1)
