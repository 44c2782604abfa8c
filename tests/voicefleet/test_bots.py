"""`voicefleet.bots`: YAML files become bots, and unchanged ones stay as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.bot import BotConfig
from contracts.open import unread
from voicefleet.api import ApiError, SidecarApi
from voicefleet.bots import BotInvalid, bot_files, import_bots, load_bot

ROOT = Path(__file__).parents[2]


class FakeSidecar:
    """Keeps bots, and counts their versions."""

    def __init__(self) -> None:
        self.bots: dict[str, dict[str, Any]] = {}
        self.status = 200

    def __call__(self, request: httpx.Request) -> httpx.Response:
        bot_id = request.url.path.rpartition("/")[2]
        if self.status != 200:
            return httpx.Response(self.status)
        if request.method == "PUT":
            version = self.bots.get(bot_id, {"version": 0})["version"] + 1
            config = json.loads(request.content)
            self.bots[bot_id] = {"bot_id": bot_id, "version": version, "config": config}
        if bot_id not in self.bots:
            return httpx.Response(404)
        return httpx.Response(200, json=self.bots[bot_id])

    def api(self) -> SidecarApi:
        return SidecarApi("http://sidecar.test", "vx_key", httpx.MockTransport(self))


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_bot_is_named_after_its_file_unless_it_has_a_name(tmp_path: Path) -> None:
    assert load_bot(write(tmp_path / "desk.yaml", "opening_message: Hi"))["bot_id"] == "desk"
    assert load_bot(write(tmp_path / "desk.yaml", "bot_id: other"))["bot_id"] == "other"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("- a list", "not a mapping"),
        ("{", "while parsing"),
        ("vad: {stop_secs: 99}", "vad.stop_secs: Input should be less"),
        ("tools: [{name: a, url: 'ftp://a'}]", "tools.0.url: only http"),
    ],
)
def test_mistake_names_file_and_field(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(BotInvalid, match=why) as caught:
        load_bot(write(tmp_path / "desk.yaml", text))
    assert str(tmp_path / "desk.yaml") in str(caught.value)


def test_missing_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(BotInvalid, match="No such file"):
        load_bot(tmp_path / "desk.yaml")


def test_our_own_bots_are_valid() -> None:
    files = bot_files(ROOT / "bots")
    configs = [BotConfig.model_validate(load_bot(path)) for path in files]
    assert {config.bot_id for config in configs} == {path.stem for path in files}
    assert list(unread(configs)) == []
    assert len(files) >= 2


async def test_every_file_becomes_a_version(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{name}.yaml", "name: x") for name in "ab"]
    sidecar = FakeSidecar()
    async with sidecar.api() as api:
        await import_bots(api, paths)
        stored = await import_bots(api, paths)
    assert [(bot["bot_id"], bot["version"]) for bot in stored] == [("a", 2), ("b", 2)]


async def test_unchanged_bot_is_left_alone_when_asked(tmp_path: Path) -> None:
    path = write(tmp_path / "desk.yaml", "name: x")
    sidecar = FakeSidecar()
    async with sidecar.api() as api:
        assert len(await import_bots(api, [path], only_changed=True)) == 1
        assert await import_bots(api, [path], only_changed=True) == []
        write(path, "name: y")
        assert len(await import_bots(api, [path], only_changed=True)) == 1


async def test_bot_with_a_secret_is_always_stored(tmp_path: Path) -> None:
    path = write(tmp_path / "desk.yaml", "stream_token: hush")
    async with FakeSidecar().api() as api:
        for _ in range(2):
            assert len(await import_bots(api, [path], only_changed=True)) == 1


async def test_trouble_at_the_sidecar_is_not_mistaken_for_an_unknown_bot(tmp_path: Path) -> None:
    path = write(tmp_path / "desk.yaml", "name: x")
    sidecar = FakeSidecar()
    sidecar.status = 500
    async with sidecar.api() as api:
        with pytest.raises(ApiError):
            await import_bots(api, [path], only_changed=True)
    assert sidecar.bots == {}
