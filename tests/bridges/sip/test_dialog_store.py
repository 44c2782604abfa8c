"""Answered calls on disk."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from bridges.sip.dialog_store import DialogStore, KeptDialog, StateInUse

DIALOG = KeptDialog(call="c0ffee", trunk_id="t", snapshot="{}")


def opened(folder: Path) -> DialogStore:
    store = DialogStore(folder)
    store.open()
    return store


def test_call_is_there_until_it_is_dropped(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.keep(DIALOG)
    later = DIALOG.model_copy(update={"snapshot": "{1}"})
    store.keep(later)
    assert store.left() == [later]
    store.drop("c0ffee")
    store.drop("c0ffee")
    assert store.left() == []


def test_call_outlives_the_process(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.keep(DIALOG)
    first.close()
    assert opened(tmp_path).left() == [DIALOG]


def test_folder_has_one_owner(tmp_path: Path) -> None:
    first = opened(tmp_path)
    with pytest.raises(StateInUse):
        opened(tmp_path)
    first.close()
    opened(tmp_path).close()


def test_numbers_are_nobody_elses_to_read(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.keep(DIALOG)
    (path,) = (tmp_path / "dialogs").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_no_call_is_removed(tmp_path: Path) -> None:
    store = opened(tmp_path)
    (tmp_path / "dialogs" / "torn.json").write_text('{"call": "to')
    (tmp_path / "dialogs" / "half.new").write_text("{")
    assert store.left() == []
    assert list((tmp_path / "dialogs").iterdir()) == []


def test_disk_that_fails_does_not_fail_the_call(tmp_path: Path) -> None:
    store = opened(tmp_path)
    (tmp_path / "dialogs").rmdir()
    (tmp_path / "dialogs").touch()
    store.keep(DIALOG)
    store.drop(DIALOG.call)
