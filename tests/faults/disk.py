"""A disk small enough to be filled: a file system in memory, where the machine allows one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SIZE_MB = 64
CHUNK = bytes(64 * 1024)


@dataclass(frozen=True, slots=True)
class Disk:
    """Where the sidecar keeps its data.

    Attributes:
        is_small: whether it can be filled without harm to anybody else.
    """

    path: Path
    is_small: bool

    def fill(self) -> None:
        """Leave not one byte."""
        with self._ballast.open("wb", buffering=0) as file:
            for chunk in (CHUNK, b"x"):
                try:
                    while file.write(chunk):
                        pass
                except OSError:
                    continue

    def clear(self) -> None:
        """Give it all back."""
        self._ballast.unlink(missing_ok=True)

    @property
    def _ballast(self) -> Path:
        return self.path / "ballast"


@contextmanager
def small_disk(path: Path) -> Iterator[Disk]:
    """Mount a small disk at `path` until the block ends; only root may, so it may stay large."""
    path.mkdir(parents=True, exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs"]
    is_small = os.geteuid() == 0 and _run("mount", *options, str(path))
    try:
        yield Disk(path, is_small)
    finally:
        if is_small:
            # Lazily: whoever still holds a file there is about to end.
            _run("umount", "--lazy", str(path))


def _run(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
