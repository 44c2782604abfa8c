"""Who is asking, beyond what the API tests show."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sidecar.access import USED_RESOLUTION, Access, Principal, hash_of, new_key
from sidecar.denial import Code, Denied
from sidecar.store import keys
from tests.fakes.control_plane import START, ControlPlane


def access_of(plane: ControlPlane, admin_key: str = "admin") -> Access:
    return Access(plane.database, service_secret="s", admin_key=admin_key, clock=plane.clock)


async def test_empty_admin_key_opens_nothing(plane: ControlPlane) -> None:
    with pytest.raises(Denied) as caught:
        await access_of(plane, admin_key="").principal({"X-API-Key": ""})
    assert caught.value.code is Code.KEY_INVALID


async def test_key_expires_at_its_time_and_its_use_is_noted_now_and_then(
    plane: ControlPlane,
) -> None:
    access = access_of(plane)
    expiry = START + timedelta(minutes=10)
    text, row = new_key(
        "default", "k1", "CRM", bot_ids=["desk"], is_admin=False, expires_at=expiry, at=START
    )
    async with plane.database.transaction() as connection:
        await keys.add(connection, row)

    async def used_at() -> object:
        principal = await access.principal({"X-API-Key": text})
        assert principal == Principal("default", False, ("desk",))
        async with plane.database.read() as connection:
            stored = await keys.get(connection, "default", "k1")
        assert stored is not None
        return stored.last_used_at

    assert await used_at() == START
    plane.clock.at = START + USED_RESOLUTION
    assert await used_at() == START
    plane.clock.advance(1)
    assert await used_at() == plane.clock.at
    plane.clock.at = expiry
    with pytest.raises(Denied) as caught:
        await access.principal({"X-API-Key": text})
    assert caught.value.code is Code.KEY_INACTIVE


def test_only_the_hash_of_a_key_is_kept() -> None:
    text, row = new_key(
        "default", "k1", "CRM", bot_ids=[], is_admin=False, expires_at=None, at=START
    )
    assert row.key_sha256 == hash_of(text)
    assert text not in repr(row)


def test_principal_without_bots_sees_all_of_them() -> None:
    assert Principal("default", False).sees("any")
    assert not Principal("default", False, ("desk",)).sees("any")
