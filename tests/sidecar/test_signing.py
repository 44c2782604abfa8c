"""Whose secret signs."""

from __future__ import annotations

from sidecar.signing import SigningSecrets
from tests.fakes.control_plane import ControlPlane


async def test_bots_own_secret_comes_before_the_platforms(plane: ControlPlane) -> None:
    await plane.add_bot(bot_id="own", webhook_secret="whsec_b3du")
    await plane.add_bot(bot_id="plain")
    secrets = SigningSecrets(plane.database, "whsec_cGxhdGZvcm0=")
    assert await secrets.signing_secret("default", "own") == "whsec_b3du"
    for tenant_id, bot_id in (("default", "plain"), ("default", "gone"), ("other", "own")):
        assert await secrets.signing_secret(tenant_id, bot_id) == "whsec_cGxhdGZvcm0="
