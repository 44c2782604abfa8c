"""`voicefleet.fleet`: what each part is started with."""

from __future__ import annotations

import socket
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest
import yaml

from voicefleet.fleet import CannotStart, Fleet, find_server, prepare
from voicefleet.settings import FleetSettings

ROOT = Path(__file__).parents[2]


def settings(tmp_path: Path, **changes: object) -> FleetSettings:
    server = tmp_path / "livekit-server"
    server.touch(mode=0o755)
    fields: dict[str, object] = {
        "voicefleet_home": tmp_path / "home",
        "livekit_server": server,
        "livekit_config": ROOT / "livekit.yaml",
        "livekit_port": 0,
        "livekit_udp_port": 0,
        "sidecar_port": 0,
        "bridge_port": 0,
        "sip_port": 0,
        "sip_health_port": 0,
    }
    return FleetSettings.model_validate(fields | changes)


def test_parts_are_told_where_the_others_are(tmp_path: Path) -> None:
    fleet = prepare(settings(tmp_path), {"SIDECAR_URL": "http://elsewhere", "BRIDGE_PORT": "1"})
    assert fleet.environ["SIDECAR_URL"] == fleet.sidecar_url
    assert fleet.environ["LIVEKIT_URL"] == fleet.livekit_url
    assert fleet.environ["BRIDGE_PORT"] == str(fleet.bridge_port)
    assert len({fleet.livekit_port, fleet.sidecar_port, fleet.bridge_port}) == 3


def test_chosen_ports_are_kept(tmp_path: Path) -> None:
    fleet = prepare(settings(tmp_path, sidecar_port=18000), {})
    assert fleet.sidecar_url == "http://127.0.0.1:18000"


def test_environment_wins_over_local_defaults_and_secrets(tmp_path: Path) -> None:
    environ = {"STREAM_ANONYMOUS": "false", "VOXCORE_SECRET": "mine", "DATA_DIR": str(tmp_path)}
    fleet = prepare(settings(tmp_path), environ)
    assert {name: fleet.environ[name] for name in environ} == environ
    assert fleet.environ["ALLOW_PRIVATE_WEBHOOKS"] == "true"
    assert fleet.recordings == tmp_path / "recordings"


def test_phones_of_this_machine_may_call_in(tmp_path: Path) -> None:
    fleet = prepare(settings(tmp_path), {})
    own, *others = fleet.environ["SIP_ALLOWED_PEERS"].split(",")
    assert own == "127.0.0.0/8"
    assert all(ip_network(other).num_addresses == 1 for other in others)
    chosen = prepare(settings(tmp_path), {"SIP_ALLOWED_PEERS": "10.0.0.0/8"})
    assert chosen.environ["SIP_ALLOWED_PEERS"] == "10.0.0.0/8"


def test_livekit_gets_the_keys_the_parts_have(tmp_path: Path) -> None:
    fleet = prepare(settings(tmp_path), {})
    config = yaml.safe_load((fleet.home / "run" / "livekit.yaml").read_text())
    key = fleet.environ["LIVEKIT_API_KEY"]
    assert config["keys"] == {key: fleet.environ["LIVEKIT_API_SECRET"]}
    assert config["port"] == fleet.livekit_port


async def test_livekit_is_not_misled_by_our_settings(tmp_path: Path) -> None:
    fleet = prepare(settings(tmp_path), {"LIVEKIT_PORT": "0", "PATH": "/bin"})
    async with httpx.AsyncClient() as http:
        livekit = fleet.parts(http)["livekit"]
    assert not any(name.startswith("LIVEKIT_") for name in livekit.environ)
    assert livekit.environ["PATH"] == "/bin"


def test_recordings_folder_can_be_set(tmp_path: Path) -> None:
    fleet = prepare(settings(tmp_path), {"RECORDINGS_DIR": "/somewhere"})
    assert fleet.recordings == Path("/somewhere")


def test_server_is_found_at_home_then_on_path(tmp_path: Path) -> None:
    home, elsewhere = tmp_path / "home" / "bin", tmp_path / "elsewhere"
    for folder in (home, elsewhere):
        folder.mkdir(parents=True)
        (folder / "livekit-server").touch(mode=0o755)
    own = settings(tmp_path, livekit_server=None)
    environ = {"PATH": str(elsewhere)}
    assert find_server(own, environ) == home / "livekit-server"
    (home / "livekit-server").unlink()
    assert find_server(own, environ) == elsewhere / "livekit-server"


def test_missing_server_says_what_fetches_it(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="`make run` and `make demo` fetch it"):
        find_server(settings(tmp_path, livekit_server=None), {"PATH": str(tmp_path / "nowhere")})


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("livekit_port", socket.SOCK_STREAM),
        ("sidecar_port", socket.SOCK_STREAM),
        ("bridge_port", socket.SOCK_STREAM),
        ("livekit_udp_port", socket.SOCK_DGRAM),
        ("sip_port", socket.SOCK_DGRAM),
        ("sip_port", socket.SOCK_STREAM),
    ],
)
def test_taken_port_is_named_with_its_setting(
    tmp_path: Path, name: str, kind: socket.SocketKind
) -> None:
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            other.listen()
        taken = {name: other.getsockname()[1]}
        with pytest.raises(CannotStart, match=f"is taken: .* set {name.upper()} to another"):
            prepare(settings(tmp_path, **taken), {})


def test_missing_livekit_configuration_is_explained(tmp_path: Path) -> None:
    missing = settings(tmp_path, livekit_config=tmp_path / "nowhere.yaml")
    with pytest.raises(CannotStart, match="run it in the project's folder or set LIVEKIT_CONFIG"):
        prepare(missing, {})


def fleet_of(tmp_path: Path) -> Fleet:
    return prepare(settings(tmp_path), {})


@pytest.mark.parametrize(
    ("answer", "ready"),
    [
        (httpx.Response(200, json={"fleet_available": 3}), True),
        (httpx.Response(200, json={"fleet_available": 0}), False),
        (httpx.Response(200, text="starting"), False),
        (httpx.Response(502), False),
    ],
)
async def test_agent_is_ready_once_the_fleet_takes_calls(
    tmp_path: Path, answer: httpx.Response, ready: bool
) -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer)) as http:
        agent = fleet_of(tmp_path).parts(http)["agent"]
        assert await agent.is_ready() is ready


async def test_part_that_does_not_answer_is_not_ready(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        async with httpx.AsyncClient(trust_env=False) as http:
            for part in fleet_of(tmp_path).parts(http).values():
                assert not await part.is_ready()
