"""`compose.yaml` says nothing an engine would not understand, and nothing that would do harm."""

from __future__ import annotations

import re
import subprocess
from typing import Any, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings

from agent.settings import AgentSettings
from bridges.settings import Settings as BridgeSettings
from bridges.sip.settings import SipSettings
from scripts.server import LIVEKIT, S3
from sidecar.__main__ import DRAIN_S
from sidecar.settings import Settings as SidecarSettings
from tests.deploy.composition import ROOT, Unset, load, variables

OURS = {"sidecar-1", "sidecar-2", "bridge-1", "bridge-2", "agent", "sip-bridge"}
OPEN = {"PUBLIC_URL": "https://voice.example"}


def secrets() -> dict[str, str]:
    """Run the script that makes an operator's secrets."""
    command = ["sh", str(ROOT / "deploy" / "secrets.sh")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(line.split("=", 1) for line in printed.splitlines())


@pytest.fixture(scope="module")
def composition() -> dict[str, Any]:
    return load({**secrets(), **OPEN})


Duration = Field(pattern=r"^([0-9]+(h|m|s|ms))+$")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Health(_Strict):
    test: list[str] = Field(min_length=2)
    interval: str = Duration
    timeout: str = Duration
    start_period: str = Field("0s", pattern=r"^([0-9]+(h|m|s))+$")


class _Condition(_Strict):
    condition: Literal["service_started", "service_healthy", "service_completed_successfully"]


class _Attachment(_Strict):
    ipv4_address: str = ""


class _Service(_Strict):
    """What the Compose specification allows of a service, as far as this file uses it."""

    image: str
    build: str = ""
    command: list[str] = Field(default_factory=list)
    entrypoint: list[str] = Field(default_factory=list)
    environment: dict[str, str] = Field(default_factory=dict)
    user: str = ""
    restart: Literal["no", "always", "on-failure", "unless-stopped"]
    init: bool = False
    read_only: bool = False
    tmpfs: list[str] = Field(default_factory=list)
    cap_drop: list[str] = Field(default_factory=list)
    security_opt: list[str] = Field(default_factory=list)
    ports: list[str] = Field(default_factory=list)
    volumes: list[str] = Field(default_factory=list)
    extra_hosts: list[str] = Field(default_factory=list)
    depends_on: dict[str, _Condition] = Field(default_factory=dict)
    healthcheck: _Health | None = None
    shm_size: str = Field("64m", pattern=r"^[0-9]+[bkmg]$")
    stop_signal: str = "SIGTERM"
    stop_grace_period: str = Field("10s", pattern=r"^([0-9]+(h|m|s))+$")
    networks: dict[str, _Attachment] = Field(default_factory=dict)
    network_mode: Literal["", "host"] = ""
    profiles: list[str] = Field(default_factory=list)


class _Composition(_Strict):
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    services: dict[str, _Service]
    volumes: dict[str, None]
    networks: dict[str, Any]


@pytest.fixture(scope="module")
def parsed(composition: dict[str, Any]) -> _Composition:
    own = {name: value for name, value in composition.items() if not name.startswith("x-")}
    return _Composition.model_validate(own)


def seconds(duration: str) -> int:
    units = {"h": 3600, "m": 60, "s": 1}
    return sum(int(n) * units[unit] for n, unit in re.findall(r"([0-9]+)([hms])", duration))


def test_everything_named_is_there(parsed: _Composition) -> None:
    for name, service in parsed.services.items():
        assert set(service.depends_on) <= set(parsed.services), name
        assert set(service.networks) <= set(parsed.networks), name
        for volume in service.volumes:
            source = volume.partition(":")[0]
            known = (ROOT / source).exists() if source.startswith(".") else source in parsed.volumes
            assert known, f"{name}: {volume}"
        for depended, how in service.depends_on.items():
            if how.condition == "service_healthy":
                assert parsed.services[depended].healthcheck is not None, name


def test_what_must_not_stand_still_is_there_twice(parsed: _Composition) -> None:
    assert set(parsed.services) >= OURS
    one, other = (parsed.services[f"sidecar-{number}"] for number in (1, 2))
    assert one.environment == other.environment
    assert set(parsed.volumes) >= {"bridge-1", "bridge-2", "agent", "postgres", "recordings"}


def test_no_secret_has_a_default() -> None:
    found = variables()
    required = {name for name, default in found.items() if default is None}
    assert set(secrets()) | {"PUBLIC_URL"} == required
    for name in required:
        with pytest.raises(Unset, match=name):
            load({**secrets(), **OPEN, name: ""})


def test_secrets_are_made_anew_each_time_and_long_enough() -> None:
    one, other = secrets(), secrets()
    assert all(one[name] != other[name] for name in one)
    assert min(map(len, one.values())) >= 48


def test_images_are_of_one_version_each_and_ours_are_those_we_test_on(parsed: _Composition) -> None:
    images = {name: service.image for name, service in parsed.services.items()}
    theirs = {name: image for name, image in images.items() if name not in OURS}
    assert [image for image in theirs.values() if not re.search(r":v?[0-9]+\.[0-9]+\.", image)] == [
        images["postgres"]
    ]
    assert re.search(r":[0-9]+\.[0-9]+-", images["postgres"])
    assert images["livekit"].endswith(f":v{LIVEKIT.version}")
    assert images["s3"].endswith(f":v{S3.version}")
    assert {images[name] for name in OURS} == {"voicefleet:latest"}


def test_our_parts_are_given_settings_they_have(parsed: _Composition) -> None:
    kinds: dict[str, type[BaseSettings]] = {
        "sidecar": SidecarSettings,
        "bridge": BridgeSettings,
        "agent": AgentSettings,
        "sip": SipSettings,
    }
    for name in OURS:
        fields = kinds[name.partition("-")[0]].model_fields
        unknown = {each.lower() for each in parsed.services[name].environment} - set(fields)
        assert unknown == set(), name


def test_our_parts_run_with_as_little_as_they_can(parsed: _Composition) -> None:
    for name in {*OURS, "nginx"}:
        service = parsed.services[name]
        assert service.read_only, name
        assert service.cap_drop == ["ALL"], name
        assert service.security_opt == ["no-new-privileges:true"], name


def test_nothing_but_nginx_is_reached_from_outside(parsed: _Composition) -> None:
    published = {name: service.ports for name, service in parsed.services.items() if service.ports}
    assert published == {"nginx": ["8080:8080"]}


def test_only_what_speaks_sip_is_on_the_host_s_network_and_only_if_wanted(
    parsed: _Composition,
) -> None:
    on_host = {name for name, service in parsed.services.items() if service.network_mode}
    optional = {name for name, service in parsed.services.items() if service.profiles}
    assert on_host == optional == {"livekit-sip", "sip-bridge"}
    needed = {name for service in parsed.services.values() for name in service.depends_on}
    assert not needed & optional


def test_sip_bridge_finds_the_others_at_their_fixed_addresses(parsed: _Composition) -> None:
    bridge = parsed.services["sip-bridge"]
    addresses = {
        name: parsed.services[name].networks["voicefleet"].ipv4_address
        for name in ("livekit", "nginx")
    }
    assert bridge.environment["SIDECAR_URL"] == f"http://{addresses['nginx']}:8081"
    assert bridge.extra_hosts == [f"livekit={addresses['livekit']}"]


def test_livekit_sip_finds_server_and_redis_at_their_fixed_addresses(
    parsed: _Composition,
) -> None:
    config = yaml.safe_load((ROOT / "deploy" / "livekit-sip.yaml").read_text())
    environment = parsed.services["livekit-sip"].environment
    addresses = {
        name: parsed.services[name].networks["voicefleet"].ipv4_address
        for name in ("livekit", "redis")
    }
    assert environment["LIVEKIT_WS_URL"] == f"ws://{addresses['livekit']}:7880"
    assert config["redis"]["address"] == f"{addresses['redis']}:6379"
    keys = parsed.services["livekit"].environment["LIVEKIT_KEYS"]
    assert keys == f"{environment['LIVEKIT_API_KEY']}: {environment['LIVEKIT_API_SECRET']}"
    # An answer without RTP is an error after ten seconds.
    assert config["media_timeout_initial"] == "10s"


def test_everything_is_given_longer_to_end_than_it_takes(parsed: _Composition) -> None:
    def grace_s(name: str) -> int:
        return seconds(parsed.services[name].stop_grace_period)

    for bridge in ("bridge-1", "bridge-2"):
        drain_s = int(parsed.services[bridge].environment["BRIDGE_DRAIN_S"])
        assert grace_s(bridge) >= drain_s + 10
        assert grace_s("nginx") >= drain_s
    assert grace_s("sip-bridge") >= int(parsed.services["sip-bridge"].environment["SIP_DRAIN_S"])
    assert grace_s("agent") >= int(parsed.services["agent"].environment["AGENT_DRAIN_S"]) + 30
    assert grace_s("sidecar-1") >= DRAIN_S + 5


def test_fixed_addresses_agree(parsed: _Composition) -> None:
    addresses = {
        name: service.networks["voicefleet"].ipv4_address
        for name, service in parsed.services.items()
        if service.networks
    }
    hosts = dict(host.split("=") for host in parsed.services["nginx"].extra_hosts)
    proxied = (OURS - {"agent", "sip-bridge"}) | {"livekit"}
    assert hosts == {name: addresses[name] for name in proxied}
    for name in ("bridge-1", "sidecar-1"):
        assert parsed.services[name].environment["TRUSTED_PROXIES"] == addresses["nginx"]
    assert parsed.services["livekit"].environment["NODE_IP"] == addresses["livekit"]
    fixed = [address for address in addresses.values() if address]
    assert len(fixed) == len(set(fixed))
