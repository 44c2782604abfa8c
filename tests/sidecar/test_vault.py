"""References to secrets: they lead to one folder's files, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contracts.trunk import Trunk
from sidecar.vault import MAX_BYTES, SecretMissing, Vault


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "carrier").write_text("pa ss\n")
    (folder / "empty").write_text("\n")
    (folder / "lines").write_text("a\nb\n")
    (folder / "bytes").write_bytes(b"\xff\xfe")
    (folder / "big").write_text("x" * (MAX_BYTES + 1))
    (folder / "acme").mkdir()
    (folder / "acme" / "llm").write_text("acme's")
    (folder / "default").mkdir()
    (folder / "default" / "own").write_text("own")
    (tmp_path / "outside").write_text("other")
    return Vault(folder)


def test_reference_leads_to_its_file_without_the_line_end(vault: Vault) -> None:
    assert vault.resolve("default", "secret://carrier") == "pa ss"


def test_key_of_a_service_account_is_put_into_one_line(vault: Vault, tmp_path: Path) -> None:
    key = {"type": "service_account", "private_key": "-----BEGIN\nä\n"}
    (tmp_path / "secrets" / "google").write_text(json.dumps(key, indent=2))
    (tmp_path / "secrets" / "list").write_text("[1,\n2]")
    found = vault.resolve("default", "secret://google")
    assert found.isprintable()
    assert json.loads(found) == key
    with pytest.raises(SecretMissing):
        vault.resolve("default", "secret://list")


@pytest.mark.parametrize("value", ["", "plain", "SECRET://carrier"])
def test_anything_else_is_the_secret_itself(vault: Vault, value: str) -> None:
    assert vault.resolve("default", value) == value


@pytest.mark.parametrize(
    "name", ["", "nobody", "../outside", "/etc/passwd", "..", ".", "empty", "lines", "bytes", "big"]
)
def test_reference_that_leads_nowhere_is_told(vault: Vault, name: str) -> None:
    with pytest.raises(SecretMissing):
        vault.resolve("default", f"secret://{name}")


def test_without_a_folder_no_reference_leads_anywhere() -> None:
    with pytest.raises(SecretMissing, match="SECRETS_DIR"):
        Vault(None).resolve("default", "secret://carrier")


def test_trunk_gets_both_its_secrets(vault: Vault) -> None:
    trunk = Trunk(name="t", password="secret://carrier", inbound_password="plain")
    found = vault.trunk("default", trunk)
    assert (found.password, found.inbound_password) == ("pa ss", "plain")
    assert trunk.password == "secret://carrier"


def test_tenant_has_the_secrets_of_its_folder_and_nobody_elses(vault: Vault) -> None:
    assert vault.resolve("acme", "secret://llm") == "acme's"
    assert vault.resolve("default", "secret://own") == "own"
    for tenant_id, name in (
        ("acme", "carrier"),
        ("acme", "own"),
        ("default", "llm"),
        ("default", "acme"),
        ("default", "acme/llm"),
        ("other", "llm"),
        ("../secrets/acme", "llm"),
        ("", "acme"),
    ):
        with pytest.raises(SecretMissing):
            vault.resolve(tenant_id, f"secret://{name}")
