"""Registrations follow the trunks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contracts.trunk import Trunk
from tests.bridges.sip.exchange import eventually, exchange
from tests.fakes import sipp
from tests.fakes.sipp_script import expect_request, respond, scenario

TAKEN = respond("200 OK", headers="Expires: 60\n").replace(
    "transport=[transport]>", "transport=[transport]>;expires=60"
)


def extension(port: int, **changes: Any) -> Trunk:
    values = {
        "name": "pbx",
        "trunk_id": "pbx",
        "address": f"127.0.0.1:{port}",
        "username": "1001",
        "password": "s3cret",
        "register_expires_s": 60,
    }
    return Trunk.model_validate(values | changes)


async def test_extension_registers_and_takes_it_back(tmp_path: Path) -> None:
    script = scenario(
        '<recv request="REGISTER"><action>'
        '<ereg regexp="sip:1001@127.0.0.1" search_in="hdr" header="To:" check_it="true"'
        ' assign_to="who"/>'
        '<ereg regexp="60" search_in="hdr" header="Expires:" check_it="true" assign_to="long"/>'
        "</action></recv>",
        respond(
            "401 Unauthorized",
            headers='WWW-Authenticate: Digest realm="pbx", nonce="1", algorithm=MD5, qop="auth"\n',
        ),
        '<recv request="REGISTER"><action><ereg regexp="1001" search_in="hdr"'
        ' header="Authorization:" check_it="true" assign_to="proof"/></action></recv>',
        TAKEN,
        '<recv request="REGISTER"><action><ereg regexp="^ *0" search_in="hdr" header="Expires:"'
        ' check_it="true" assign_to="none"/></action></recv>',
        respond("200 OK"),
        '<Reference variables="who,long,proof,none"/>',
    )
    async with (
        exchange(tmp_path / "state") as running,
        sipp.running(script, tmp_path) as pbx,
    ):
        registrar = running.board.registrar
        running.admit(extension(pbx.port))
        assert registrar.states == {"pbx": "pending"}
        await eventually(lambda: registrar.states == {"pbx": "registered"})
        running.admit(extension(pbx.port))
        running.admit()
        assert registrar.states == {}
        await pbx.succeeds()
        await eventually(lambda: registrar.is_settled)


async def test_refusal_is_shown(tmp_path: Path) -> None:
    script = scenario(expect_request("REGISTER"), respond("403 Forbidden"))
    async with (
        exchange(tmp_path / "state") as running,
        sipp.running(script, tmp_path) as pbx,
    ):
        running.admit(extension(pbx.port))
        await eventually(lambda: running.board.registrar.states == {"pbx": "403"})
        await pbx.succeeds()


async def test_trunk_without_a_usable_address_is_left_alone(tmp_path: Path) -> None:
    async with exchange(tmp_path / "state") as running:
        running.admit(extension(5060, address="no host!"))
        assert running.board.registrar.states == {}
