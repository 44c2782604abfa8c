"""References to secrets: they lead to one folder's files, and nowhere else."""

from __future__ import annotations

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
    (tmp_path / "outside").write_text("other")
    return Vault(folder)


def test_reference_leads_to_its_file_without_the_line_end(vault: Vault) -> None:
    assert vault.resolve("secret://carrier") == "pa ss"


@pytest.mark.parametrize("value", ["", "plain", "SECRET://carrier"])
def test_anything_else_is_the_secret_itself(vault: Vault, value: str) -> None:
    assert vault.resolve(value) == value


@pytest.mark.parametrize(
    "name", ["", "nobody", "../outside", "/etc/passwd", "..", ".", "empty", "lines", "bytes", "big"]
)
def test_reference_that_leads_nowhere_is_told(vault: Vault, name: str) -> None:
    with pytest.raises(SecretMissing):
        vault.resolve(f"secret://{name}")


def test_without_a_folder_no_reference_leads_anywhere() -> None:
    with pytest.raises(SecretMissing, match="SECRETS_DIR"):
        Vault(None).resolve("secret://carrier")


def test_trunk_gets_both_its_secrets(vault: Vault) -> None:
    trunk = Trunk(name="t", password="secret://carrier", inbound_password="plain")
    found = vault.trunk(trunk)
    assert (found.password, found.inbound_password) == ("pa ss", "plain")
    assert trunk.password == "secret://carrier"
