"""`voicefleet.settings_page`: the page is what the settings classes say."""

from __future__ import annotations

from pathlib import Path

from voicefleet.settings_page import CLASSES, PAGE, all_names, page

ROOT = Path(__file__).parents[2]


def test_page_is_current() -> None:
    assert (ROOT / PAGE).read_text() == page(), "run `python -m voicefleet.settings_page`"


def test_every_setting_is_described() -> None:
    for part, settings in CLASSES.items():
        for name, field in settings.model_fields.items():
            assert field.description, f"{part}: {name} has no description"
            assert field.description.endswith("."), f"{part}: {name}: not a sentence"


def test_other_names_of_a_setting_are_known() -> None:
    assert {"CONFIG_URL", "VOXBRIDGE_CONFIG_URL", "CXB_API_CONFIG_URL"} <= all_names()
    assert "| `CONFIG_URL` |" in page()
    assert "Also read as `VOXBRIDGE_CONFIG_URL`, `CXB_API_CONFIG_URL`." in page()


def test_names_are_environment_variables() -> None:
    assert all(name == name.upper() for name in all_names())
