"""Whose secrets sign, and that every receiver who knows one of them is content."""

from __future__ import annotations

from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from sidecar.clock import utc_now
from sidecar.signing import MOST_SECRETS, SecretInvalid, SigningSecrets, secrets_of, signature_of
from sidecar.vault import Vault
from tests.fakes.control_plane import ControlPlane

NEW = "whsec_bmV3LXNlY3JldC1vZi10aGUtYm90IQ=="
OLD = "whsec_b2xkLXNlY3JldC1vZi10aGUtYm90IQ"
OTHER = "whsec_c29tZWJvZHktZWxzZSdzLXNlY3JldCE="


async def test_bots_own_secret_comes_before_the_platforms(plane: ControlPlane) -> None:
    await plane.add_bot(bot_id="own", webhook_secret=f"{NEW} {OLD}")
    await plane.add_bot(bot_id="plain")
    secrets = SigningSecrets(plane.database, OTHER, Vault(None))
    assert await secrets.signing_secrets("default", "own") == [NEW, OLD]
    for tenant_id, bot_id in (("default", "plain"), ("default", "gone"), ("other", "own")):
        assert await secrets.signing_secrets(tenant_id, bot_id) == [OTHER]
    assert (
        await SigningSecrets(plane.database, "", Vault(None)).signing_secrets("default", "plain")
        == []
    )


@pytest.mark.parametrize("text", [f"{NEW} {OLD}", f"{NEW},{OLD}", f"\n{NEW} ,\t{OLD}, "])
def test_secrets_are_separated_by_spaces_or_commas(text: str) -> None:
    assert secrets_of(text) == [NEW, OLD]


@pytest.mark.parametrize("secret", [NEW, OLD])
def test_receiver_with_either_secret_is_content(secret: str) -> None:
    at, body = utc_now(), '{"name":"Zoë"}'
    headers = {
        "webhook-id": "d1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature_of([NEW, OLD], "d1", at, body),
    }
    assert Webhook(secret).verify(body.encode(), headers) == {"name": "Zoë"}
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(body.encode(), headers)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("hush", "secret 1 of 1 does not begin with whsec_"),
        (f"{NEW} hush", "secret 2 of 2 does not begin"),
        ("whsec_", "fewer than 16 bytes"),
        ("whsec_aHVzaA==", "fewer than 16 bytes"),
        ("whsec_aaaaa", "not base64"),
        ("whsec_bmV3LXNlY3JldC1vZi10aGUt-_90IQ==", "not base64"),
        ("whsec_bmV3LXNlY3JldC1vZi10aGUtYm90Iü==", "not base64"),
        (" ".join([NEW] * (MOST_SECRETS + 1)), "more than 5"),
    ],
)
def test_what_is_no_secret_is_told_without_it(text: str, why: str) -> None:
    with pytest.raises(SecretInvalid, match=why) as caught:
        secrets_of(text)
    shown = str(caught.value).split()
    assert not {word.removeprefix("whsec_") for word in text.split()} & {*shown} - {""}


async def test_bot_may_only_name_its_secret(plane: ControlPlane, tmp_path: Path) -> None:
    (tmp_path / "new").write_text(NEW)
    await plane.add_bot(bot_id="named", webhook_secret=f"secret://new, {OLD}")
    await plane.add_bot(bot_id="lost", webhook_secret="secret://gone")
    secrets = SigningSecrets(plane.database, OTHER, Vault(tmp_path))
    assert await secrets.signing_secrets("default", "named") == [NEW, OLD]
    with pytest.raises(SecretInvalid, match="secret://gone"):
        await secrets.signing_secrets("default", "lost")
