"""How tests run a real `livekit-sip`, shown on stand-ins for the binary: no such one is here."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import pytest
import yaml

from tests.fakes.livekit_sip.real import running_service
from tests.fakes.livekit_sip_choice import NotStarted, named_binary, which

LIVEKIT = ("ws://127.0.0.1:7880", "devkey", "secret-of-the-server")
REDIS = "127.0.0.1:6379"
_SERVES = """\
import http.server, sys, yaml
config = yaml.safe_load(open(sys.argv[sys.argv.index("--config") + 1]))
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", config["health_port"]), Health).serve_forever()
"""
_ENDS = "print('could not connect to redis')"
_IS_SILENT = """\
import signal
print('waiting', flush=True)
signal.signal(signal.SIGTERM, lambda *_: exit(0))
signal.pause()
"""


def program(folder: Path, body: str) -> Path:
    """Return an executable that does so."""
    path = folder / "livekit-sip"
    path.write_text(f"#!{sys.executable}\n{body}")
    path.chmod(0o755)
    return path


async def test_service_is_told_where_everything_is_and_stopped_in_the_end(tmp_path: Path) -> None:
    binary = program(tmp_path, _SERVES)
    async with running_service(binary, tmp_path, LIVEKIT, REDIS) as sip_port:
        config = yaml.safe_load((tmp_path / "livekit-sip.yaml").read_text())
        health = f"http://127.0.0.1:{config['health_port']}/"
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(health)).is_success
    assert (config["ws_url"], config["api_key"], config["api_secret"]) == LIVEKIT
    assert config["redis"] == {"address": REDIS}
    assert config["sip_port"] == sip_port
    assert (config["listen_ip"], config["nat_1_to_1_ip"]) == ("127.0.0.1", "127.0.0.1")
    assert config["use_external_ip"] is False
    async with httpx.AsyncClient(trust_env=False) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(health)


async def test_service_that_ends_says_why(tmp_path: Path) -> None:
    with pytest.raises(NotStarted, match=r"ended with 0: could not connect to redis"):
        async with running_service(program(tmp_path, _ENDS), tmp_path, LIVEKIT, REDIS):
            pass


async def test_service_that_never_answers_is_given_up(tmp_path: Path) -> None:
    starting = running_service(
        program(tmp_path, _IS_SILENT), tmp_path, LIVEKIT, REDIS, ready_timeout_s=1.0
    )
    with pytest.raises(NotStarted, match="not ready in 1 s: waiting"):
        async with starting:
            pass


def test_binary_that_is_named_must_be_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LIVEKIT_SIP_BIN", "")
    assert named_binary() is None
    assert which() == "the double (LIVEKIT_SIP_BIN names no binary)"
    plain = tmp_path / "plain"
    plain.touch()
    for path in (tmp_path / "nothing", plain, tmp_path):
        monkeypatch.setenv("LIVEKIT_SIP_BIN", str(path))
        with pytest.raises(NotStarted, match="is no program"):
            named_binary()
    binary = program(tmp_path, _ENDS)
    monkeypatch.setenv("LIVEKIT_SIP_BIN", str(binary))
    assert named_binary() == binary
    assert which() == f"the real one, {binary}"
