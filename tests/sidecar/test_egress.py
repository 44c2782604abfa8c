"""Where the platform refuses to send."""

from __future__ import annotations

import pytest

from sidecar.egress import EgressGuard, EgressRefused, resolve


def guard(*addresses: str, allow_private: bool = False) -> EgressGuard:
    async def known(host: str, port: int) -> list[str]:
        if host == "nowhere":
            raise OSError("unknown")
        return list(addresses)

    return EgressGuard(allow_private=allow_private, resolve=known)


@pytest.mark.parametrize(
    ("url", "pinned", "host"),
    [
        ("https://crm.example/a?b=c", "https://93.184.215.14/a?b=c", "crm.example"),
        ("http://crm.example:8080/", "http://93.184.215.14:8080/", "crm.example:8080"),
    ],
)
async def test_public_address_is_pinned(url: str, pinned: str, host: str) -> None:
    target = await guard("93.184.215.14").check(url)
    assert (str(target.url), target.host_header, target.server_name) == (
        pinned,
        host,
        "crm.example",
    )


async def test_host_without_ipv6_is_reached_through_a_network_of_it_alone() -> None:
    target = await guard("64:ff9b::93.184.215.14").check("https://crm.example/")
    assert target.url.host == "64:ff9b::93.184.215.14"


@pytest.mark.parametrize("host", ["xn--strae-oqa.example", "xn--zzzz--.example"])
async def test_name_is_looked_up_as_it_goes_over_the_wire(host: str) -> None:
    asked: list[str] = []

    async def known(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["93.184.215.14"]

    target = await EgressGuard(allow_private=False, resolve=known).check(f"https://{host}/")
    assert asked == [target.server_name] == [target.host_header] == [host]


async def test_ipv6_address_is_pinned() -> None:
    target = await guard("2606:2800:21f:cb07:6820:80da:af6b:8b2c").check("https://crm.example/")
    assert target.url.host == "2606:2800:21f:cb07:6820:80da:af6b:8b2c"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:127.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::10.0.0.1",
        "2002:a00:1::",
        "::10.0.0.1",
        "fec0::1",
    ],
)
async def test_private_address_is_refused_unless_allowed(address: str) -> None:
    with pytest.raises(EgressRefused):
        await guard(address).check("https://crm.example/")
    await guard(address, allow_private=True).check("https://crm.example/")


async def test_one_private_address_among_public_ones_is_refused() -> None:
    with pytest.raises(EgressRefused):
        await guard("93.184.215.14", "127.0.0.1").check("https://crm.example/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "crm.example",
        "file:///etc/passwd",
        "https://crm.example:70000/",
        "ftp://crm.example/",
        "https://",
        "http://a:b:c",
        "https://nowhere/",
    ],
)
async def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(EgressRefused):
        await guard("93.184.215.14").check(url)


async def test_host_without_addresses_is_refused() -> None:
    with pytest.raises(EgressRefused):
        await guard().check("https://crm.example/")


async def test_resolve_asks_the_system() -> None:
    assert "127.0.0.1" in await resolve("localhost", 80)
