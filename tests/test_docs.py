"""Docs that fail the build: what exists is described, links lead somewhere, commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.routing import Route

from bridges.wire.close import CloseCode
from contracts.call import CallState
from contracts.event import EventType
from contracts.outcome import OUTCOMES
from contracts.result import CallResult
from sidecar.api import errors
from voicefleet.__main__ import app
from voicefleet.script import KINDS
from voicefleet.settings_page import all_names

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
    ]
)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(text: str) -> set[str]:
    """Return the anchors that headings get."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(text))
    return {heading.strip().replace(" ", "-") for heading in plain}


def test_every_setting_is_described() -> None:
    text = page("settings.md")
    assert [name for name in sorted(all_names()) if f"`{name}`" not in text] == []


def test_every_state_is_described() -> None:
    text = page("outcomes.md")
    assert [state for state in CallState if f"| `{state.value}` |" not in text] == []


def test_every_ending_is_described_with_its_word_and_blame() -> None:
    text = page("outcomes.md")
    for outcome in OUTCOMES.values():
        again = "yes" if outcome.retryable else "no"
        row = (
            f"| `{outcome.reason.value}` | `{outcome.disconnected_by}` |"
            f" {outcome.blame.value} | {again} |"
        )
        assert row in text


def test_every_key_of_the_result_is_described_in_order() -> None:
    text = page("outcomes.md").partition("## The result")[2]
    places = [text.find(f"| `{key}` |") for key in CallResult.model_fields]
    assert -1 not in places
    assert places == sorted(places)


def test_every_event_type_is_described() -> None:
    text = page("events.md")
    assert [type_ for type_ in EventType if f"| `{type_.value}` |" not in text] == []


def test_every_error_code_is_described_with_its_status() -> None:
    text = page("api.md")
    rows = [f"| `{code.value}` | {status} |" for code, status in errors.STATUS.items()]
    assert [row for row in rows if row not in text] == []


def test_every_close_code_is_described() -> None:
    text = page("protocols/dialler.md")
    assert [code for code in CloseCode if str(code.value) not in text] == []


def test_every_step_of_a_scenario_is_described() -> None:
    text = page("scenarios.md")
    assert [name for name in KINDS if f"| `{name}` |" not in text] == []


def routes() -> list[tuple[str, str]]:
    """Return every `(method, path)` the sidecar's modules declare."""
    found = []
    for module in sorted((ROOT / "sidecar" / "api").glob("*.py")):
        for match in re.finditer(
            r'Route\(\s*"([^"]+)",\s*\w+(?:,\s*methods=\["(\w+)"\])?', module.read_text()
        ):
            found.append((match[2] or "GET", Route(match[1], endpoint=lambda _: None).path_format))
    return found


@pytest.mark.parametrize(("method", "path"), routes())
def test_every_route_is_described(method: str, path: str) -> None:
    assert f"`{method} {path}`" in page("api.md")


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text()
    for target in LINK.findall(text):
        if target.startswith(("http://", "https://")):
            continue
        file_name, _, anchor = target.partition("#")
        linked = (path.parent / file_name).resolve() if file_name else path
        assert linked.exists(), f"{name_of(path)}: {target}"
        if anchor:
            assert anchor in anchors(linked.read_text()), f"{name_of(path)}: {target}"


def commands() -> set[str]:
    """Return every command of `voicefleet`, groups spelt out."""
    found = {str(command.name or command.callback.__name__) for command in app.registered_commands}  # type: ignore[union-attr]
    for group in app.registered_groups:
        assert group.typer_instance is not None
        found |= {
            f"{group.name} {command.name}" for command in group.typer_instance.registered_commands
        }
    return found


def shell_lines(text: str) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_commands_in_docs_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = path.read_text()
    spoken = [*shell_lines(text), *re.findall(r"`((?:make|voicefleet) [^`]+)`", text)]
    for line in spoken:
        words = line.split()
        program = words[0].rpartition("/")[2]
        if program == "make":
            assert words[1] in targets | {"…"}, line
        elif program == "voicefleet" and words[1] != "…":
            assert words[1] in commands() or " ".join(words[1:3]) in commands(), line


def test_readme_shows_the_two_commands_first() -> None:
    assert shell_lines((ROOT / "README.md").read_text())[:2] == ["make demo", "make run"]
