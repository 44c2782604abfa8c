"""Finding `uv`, or fetching the locked one without pip or venv being there.

The ways, first that works:

1. `uv` on PATH, if new enough, or the one fetched before.
2. The index this machine is configured for (`scripts.index`): the wheel is fetched and unpacked by
   the standard library alone.
3. Without a configured index only pip knows a default address, and this project deliberately names
   none: an address in a repository outlives the mirror policy of whoever runs it. So a pip is
   borrowed just to download that one wheel: the interpreter's own, else the wheel that `ensurepip`
   carries, else Debian's `python3-pip-whl`, unpacked without being installed.

Whatever the way, the wheel must have the hash that `uv.lock` holds.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from scripts.command import run_quietly
from scripts.index import IndexFailed, configured_index, fetch_file, verify
from scripts.lock import fitting, locked_wheels

OLDEST = (0, 8, 0)
_ADVICE = (
    "Could not get uv. Put uv on PATH, or name a package index (UV_DEFAULT_INDEX or pip.conf's"
    " index-url), or install pip for this python3, then try again. What was tried:"
)


class UvMissing(Exception):
    """No way led to uv; the message lists each way and why it failed."""


def find_or_fetch(root: Path, environ: Mapping[str, str]) -> Path:
    """Return a usable uv, fetching it into `.voicefleet/bin` if there is none."""
    own = root / ".voicefleet" / "bin" / "uv"
    on_path = shutil.which("uv", path=environ.get("PATH", os.defpath))
    for candidate in (on_path, own):
        if candidate is not None and _version(Path(candidate)) >= OLDEST:
            return Path(candidate)
    with tempfile.TemporaryDirectory() as folder:
        wheel = fetch_wheel(root / "uv.lock", environ, Path(folder))
        _unpack(wheel, own)
    return own


def child_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment uv runs in: pip's index and certificate honoured, no downloads."""
    child = dict(environ)
    index = configured_index(environ)
    if index is not None:
        child.setdefault("UV_DEFAULT_INDEX", index.url)
    if "SSL_CERT_FILE" not in child:
        if child.get("PIP_CERT"):
            child["SSL_CERT_FILE"] = child["PIP_CERT"]
        else:
            child.setdefault("UV_SYSTEM_CERTS", "1")
    # An activated environment of somebody else is not where we install.
    child.pop("VIRTUAL_ENV", None)
    return child | {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}


def install_group(
    group: str, folder: Path, root: Path, uv: Path, environ: Mapping[str, str]
) -> None:
    """Unpack a locked dependency group into `folder`, outside of any environment.

    Raises:
        CommandFailed: it could not be fetched, or is not what the lock holds.
    """
    requirements = root / ".voicefleet" / f"{group}.txt"
    requirements.parent.mkdir(exist_ok=True)
    child = child_environ(environ)
    export: list[str | Path] = ["--frozen", "--only-group", group, "-o", requirements]
    run_quietly([uv, "export", "-q", *export], root, child)
    install: list[str | Path] = ["--no-deps", "--require-hashes"]
    install += ["--python", sys.executable, "--target", folder]
    run_quietly([uv, "pip", "install", "-q", *install, "-r", requirements], root, child)


def fetch_wheel(lock: Path, environ: Mapping[str, str], folder: Path) -> Path:
    """Fetch the locked wheel of uv by the first way that works."""
    version, wheels = locked_wheels(lock.read_text(), "uv")
    names = fitting(wheels)
    if not names:
        raise UvMissing(f"{_ADVICE}\n  uv {version} has no wheel for this platform")
    failures = []
    for name, way in _ways(version, names, environ, folder):
        try:
            wheel = way()
            verify(wheel.name, wheel.read_bytes(), wheels[wheel.name])
            return wheel
        except (IndexFailed, OSError, subprocess.SubprocessError, KeyError) as error:
            failures.append(f"  {name}: {_reason(error)}")
    raise UvMissing("\n".join([_ADVICE, *failures]))


def _ways(
    version: str, names: Mapping[str, str], environ: Mapping[str, str], folder: Path
) -> Iterator[tuple[str, Callable[[], Path]]]:
    index = configured_index(environ)
    if index is not None:
        yield f"the index in {index.setting}", partial(fetch_file, index, "uv", names, folder)
    # Whichever tool's setting named the index, pip must not go past it to its own default.
    options = ["--index-url", index.url] if index is not None else []
    download = partial(_pip_download, version=version, names=names, folder=folder, options=options)
    if importlib.util.find_spec("pip") is not None:
        yield "pip", partial(download, [sys.executable, "-m", "pip"])
    for bundled in bundled_pips():
        yield f"{bundled}", partial(download, [sys.executable, str(bundled / "pip")])
    path = environ.get("PATH", os.defpath)
    if shutil.which("apt-get", path=path) and shutil.which("dpkg-deb", path=path):
        yield "Debian's python3-pip-whl", lambda: download(_debian_pip(folder))


def bundled_pips() -> list[Path]:
    """Return the pip wheels that ensurepip (or the distribution, on its behalf) carries."""
    spec = importlib.util.find_spec("ensurepip")
    folders = [Path(spec.origin).parent / "_bundled"] if spec and spec.origin else []
    if sysconfig.get_config_var("WHEEL_PKG_DIR"):
        folders.append(Path(sysconfig.get_config_var("WHEEL_PKG_DIR")))
    return [wheel for folder in folders for wheel in sorted(folder.glob("pip-*.whl"))]


def _pip_download(
    pip: list[str],
    *,
    version: str,
    names: Mapping[str, str],
    folder: Path,
    options: list[str],
) -> Path:
    requirements = folder / "uv.txt"
    hashes = " ".join(f"--hash=sha256:{sha256}" for sha256 in names.values())
    requirements.write_text(f"uv=={version} {hashes}\n")
    download = [*pip, "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    download += ["--no-input", "--disable-pip-version-check", "--dest", str(folder)]
    _run([*download, *options, "-r", str(requirements)])
    return next(folder.glob("uv-*.whl"))


def _debian_pip(folder: Path) -> list[str]:
    if os.geteuid() == 0 and not any(Path("/var/lib/apt/lists").glob("*Packages*")):
        _run(["apt-get", "update", "-q"])
    _run(["apt-get", "download", "-q", "python3-pip-whl"], cwd=folder)
    package = next(folder.glob("python3-pip-whl*.deb"))
    _run(["dpkg-deb", "-x", str(package), str(folder / "debian")])
    wheel = next((folder / "debian").rglob("pip-*.whl"))
    return [sys.executable, str(wheel / "pip")]


def _run(command: list[str], cwd: Path | None = None) -> None:
    subprocess.run(
        command, cwd=cwd, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = [line.strip() for line in str(error.stderr).splitlines() if line.strip()]
        told = [line for line in lines if line.startswith(("E:", "ERROR:"))] or lines[-1:]
        return told[0] if told else f"exit code {error.returncode}"
    return str(error) or type(error).__name__


def _unpack(wheel: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        member = next(name for name in archive.namelist() if name.endswith(".data/scripts/uv"))
        # Renamed into place, so that an interrupted set-up leaves no half a program.
        partial = target.with_suffix(".partial")
        partial.write_bytes(archive.read(member))
    partial.chmod(0o755)
    partial.replace(target)


def _version(uv: Path) -> tuple[int, ...]:
    try:
        answer = subprocess.run(
            [uv, "--version"], capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    match = re.match(r"uv (\d+)\.(\d+)\.(\d+)", answer.stdout)
    return tuple(map(int, match.groups())) if match else ()
