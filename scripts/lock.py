"""What `uv.lock` holds: versions and hashes, and not a single address.

Where files come from is the business of the machine that installs them, so `make lock` replaces
every address by a neutral one under `index.invalid`.
"""

from __future__ import annotations

import platform
import re
import sys
import tomllib

NEUTRAL = "https://index.invalid"

_REGISTRY = re.compile(r'(?<=\bregistry = ")[^"]*(?=")')
_FILE = re.compile(r'(?<=\burl = ")[^"]*/(?P<name>[^"/]+)(?=")')


def scrub(lock: str) -> str:
    """Return the lock without a single real address; hashes and file names stay."""
    lock = _REGISTRY.sub(f"{NEUTRAL}/simple", lock)
    return _FILE.sub(lambda match: f"{NEUTRAL}/{match['name']}", lock)


def locked_wheels(lock: str, project: str) -> tuple[str, dict[str, str]]:
    """Return a project's locked version and its wheels' file name → SHA-256."""
    for package in tomllib.loads(lock)["package"]:
        if package["name"] == project:
            wheels = {
                wheel["url"].rpartition("/")[2]: wheel["hash"].removeprefix("sha256:")
                for wheel in package["wheels"]
            }
            return package["version"], wheels
    raise KeyError(project)


def fitting(
    wheels: dict[str, str],
    *,
    system: str = sys.platform,
    machine: str = platform.machine(),
    libc: str = platform.libc_ver()[0],
) -> dict[str, str]:
    """Return those wheels that fit a platform; only projects with one wheel per platform."""
    family = "macosx" if system == "darwin" else "manylinux" if libc == "glibc" else "musllinux"
    tag = re.compile(rf"{family}_[0-9_]+_{re.escape(machine)}(?![a-z0-9_])")
    return {name: sha256 for name, sha256 in wheels.items() if tag.search(name)}
