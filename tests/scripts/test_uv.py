"""`scripts.uv`: a usable uv is found; what is fetched is unpacked with care."""

from __future__ import annotations

import hashlib
import platform
import zipfile
from pathlib import Path

import pytest

from scripts.uv import UvMissing, bundled_pips, child_environ, fetch_wheel, find_or_fetch

MACHINE = platform.machine()
WHEEL = f"uv-9.9.9-py3-none-manylinux_2_17_{MACHINE}.musllinux_1_1_{MACHINE}.whl"
PROGRAM = "#!/bin/sh\necho 'uv 9.9.9 (of this test)'\n"


def program(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def index_of(folder: Path) -> tuple[str, str]:
    """Make an index with one wheel; return its address and the wheel's hash."""
    page = folder / "simple" / "uv" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text(f'<a href="{WHEEL}">{WHEEL}</a>')
    with zipfile.ZipFile(page.parent / WHEEL, "w") as wheel:
        wheel.writestr("uv-9.9.9.data/scripts/uvx", "not this one")
        wheel.writestr("uv-9.9.9.data/scripts/uv", PROGRAM)
    sha256 = hashlib.sha256((page.parent / WHEEL).read_bytes()).hexdigest()
    return (folder / "simple").as_uri(), sha256


def project(root: Path, sha256: str) -> Path:
    (root / "uv.lock").write_text(
        '[[package]]\nname = "uv"\nversion = "9.9.9"\n'
        f'wheels = [{{ url = "https://index.invalid/{WHEEL}", hash = "sha256:{sha256}" }}]\n'
    )
    return root


def test_uv_on_path_is_used(tmp_path: Path) -> None:
    found = program(tmp_path / "bin" / "uv", "uv 0.13.8 (x86_64)")
    assert find_or_fetch(tmp_path, {"PATH": str(tmp_path / "bin")}) == found


@pytest.mark.parametrize("says", ["uv 0.4.0", "something else"])
def test_own_uv_is_used_where_the_one_on_path_will_not_do(tmp_path: Path, says: str) -> None:
    program(tmp_path / "bin" / "uv", says)
    own = program(tmp_path / ".voicefleet" / "bin" / "uv", "uv 0.13.8")
    assert find_or_fetch(tmp_path, {"PATH": str(tmp_path / "bin")}) == own


def test_locked_wheel_is_fetched_and_unpacked(tmp_path: Path) -> None:
    url, sha256 = index_of(tmp_path)
    environ = {"PATH": str(tmp_path / "nowhere"), "UV_DEFAULT_INDEX": url}
    own = find_or_fetch(project(tmp_path, sha256), environ)
    assert own == tmp_path / ".voicefleet" / "bin" / "uv"
    assert own.read_text() == PROGRAM
    assert own.stat().st_mode & 0o111
    assert find_or_fetch(tmp_path, {"PATH": ""}) == own


def test_wheel_of_another_hash_never_becomes_a_program(tmp_path: Path) -> None:
    url, _ = index_of(tmp_path)
    # An index that is configured holds for pip too, so no way leads elsewhere.
    environ = {"PATH": str(tmp_path / "nowhere"), "UV_DEFAULT_INDEX": url}
    with pytest.raises(UvMissing, match=r"the index in UV_DEFAULT_INDEX: .*refused"):
        find_or_fetch(project(tmp_path, "00" * 32), environ)
    assert not (tmp_path / ".voicefleet" / "bin" / "uv").exists()


def test_platform_without_a_wheel_is_explained(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text('[[package]]\nname = "uv"\nversion = "9.9.9"\nwheels = []\n')
    with pytest.raises(UvMissing, match=r"uv 9\.9\.9 has no wheel for this platform"):
        fetch_wheel(tmp_path / "uv.lock", {}, tmp_path)


def test_bundled_pips_exist() -> None:
    assert all(path.exists() and path.suffix == ".whl" for path in bundled_pips())


def test_uv_is_told_of_pips_index_and_certificate() -> None:
    child = child_environ({"PIP_INDEX_URL": "https://i.test/simple", "PIP_CERT": "/ca.pem"})
    assert child["UV_DEFAULT_INDEX"] == "https://i.test/simple"
    assert child["SSL_CERT_FILE"] == "/ca.pem"
    assert child["UV_PYTHON_DOWNLOADS"] == "never"


def test_uv_trusts_what_the_system_trusts() -> None:
    assert child_environ({})["UV_SYSTEM_CERTS"] == "1"
    assert "UV_SYSTEM_CERTS" not in child_environ({"SSL_CERT_FILE": "/ca.pem"})


def test_foreign_environment_is_not_installed_into() -> None:
    assert "VIRTUAL_ENV" not in child_environ({"VIRTUAL_ENV": "/somebody's"})
