"""`voicefleet`: commands explain themselves, and mistakes end in a sentence."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from voicefleet.__main__ import app, main
from voicefleet.api import SidecarApi


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--help"], ["up", "demo", "call", "bots", "calls", "deliveries"]),
        (["bots", "--help"], ["import", "list", "show"]),
        (["calls", "--help"], ["list", "show", "result"]),
        (["deliveries", "--help"], ["list", "show", "replay"]),
        (["call", "--help"], ["--bot", "--say", "--wav", "--scenario"]),
    ],
)
def test_help_names_what_there_is(arguments: list[str], words: list[str]) -> None:
    result = CliRunner().invoke(app, arguments, env={"TERM": "dumb", "COLUMNS": "120"})
    assert result.exit_code == 0
    assert [word for word in words if word not in result.stdout] == []


@pytest.mark.parametrize("command", ["show", "result"])
@pytest.mark.parametrize("name", ["0198-7", "call-7"])
def test_call_is_shown_by_either_of_its_names(
    command: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v1/calls":
            is_session = request.url.params["session_id"] == "call-7"
            return httpx.Response(200, json={"calls": [{"call_id": "0198-7"}] * is_session})
        return httpx.Response(200, json={"path": request.url.path})

    transport = httpx.MockTransport(answer)
    monkeypatch.setattr(
        "voicefleet.__main__._api", lambda _: SidecarApi("http://sidecar.test", "k", transport)
    )
    result = CliRunner().invoke(app, ["calls", command, name])
    path = "/api/v1/calls/0198-7" + ("/result" if command == "result" else "")
    assert f'"{path}"' in result.stdout


def test_keys_that_nothing_reads_are_told_of_a_bot_that_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = {"bot_id": "desk", "version": 1, "unread": ["llm.temprature", "[odd]"]}
    transport = httpx.MockTransport(lambda _: httpx.Response(201, json=stored))
    monkeypatch.setattr(
        "voicefleet.__main__._api", lambda _: SidecarApi("http://sidecar.test", "k", transport)
    )
    (tmp_path / "desk.yaml").write_text("llm: {temprature: 0}")
    result = CliRunner().invoke(app, ["bots", "import", str(tmp_path / "desk.yaml")])
    assert result.stdout == "desk: version 1\n  nothing reads llm.temprature, [odd]\n"


@pytest.mark.parametrize("arguments", [[], ["d1", "--all"], ["d1", "--bot", "desk"]])
def test_replay_wants_to_know_what_is_meant(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["deliveries", "replay", *arguments])
    assert result.exit_code == 1
    assert "Name deliveries, or say which" in result.stderr


def test_bad_scenario_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text("- shout: hello")
    monkeypatch.setattr("sys.argv", ["voicefleet", "call", "--scenario", str(path)])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert "The scenario is not valid: step 1:" in capsys.readouterr().err
