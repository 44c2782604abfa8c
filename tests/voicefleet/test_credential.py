"""`voicefleet.credential`: secrets are made once and only their owner can read them."""

from __future__ import annotations

import base64
from pathlib import Path

from voicefleet.credential import environ_with, load_or_create, make, parse


def test_secrets_are_made_once(tmp_path: Path) -> None:
    first = load_or_create(tmp_path / "home")
    assert load_or_create(tmp_path / "home") == first
    assert set(first) == set(make(bytes))


def test_file_is_for_its_owner_only(tmp_path: Path) -> None:
    load_or_create(tmp_path)
    assert (tmp_path / "secrets.env").stat().st_mode & 0o777 == 0o600


def test_missing_secret_is_added_and_the_rest_is_kept(tmp_path: Path) -> None:
    (tmp_path / "secrets.env").write_text("# mine\nVOXCORE_SECRET=chosen\nOTHER=kept\n")
    secrets = load_or_create(tmp_path)
    assert (secrets["VOXCORE_SECRET"], secrets["OTHER"]) == ("chosen", "kept")
    assert secrets["LIVEKIT_API_SECRET"]
    assert load_or_create(tmp_path) == secrets


def test_signing_secret_has_the_standard_form() -> None:
    prefix, _, encoded = make(lambda size: bytes(range(size)))["RESULT_SIGNING_SECRET"].partition(
        "_"
    )
    assert prefix == "whsec"
    assert base64.b64decode(encoded) == bytes(range(32))


def test_values_may_hold_equals_signs() -> None:
    assert parse("A=b=\n\nnonsense\n B = c \n") == {"A": "b=", "B": "c"}


def test_environment_wins_over_the_file() -> None:
    environ = {"VOXCORE_SECRET": "mine", "PATH": "/bin", "ADMIN_API_KEY": ""}
    merged = environ_with({"VOXCORE_SECRET": "file", "ADMIN_API_KEY": "file"}, environ)
    assert merged == {"VOXCORE_SECRET": "mine", "PATH": "/bin", "ADMIN_API_KEY": "file"}
