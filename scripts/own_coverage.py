"""Holds modules to 100 % branch coverage by their own test module alone; what others touch by the
way does not count.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

COVERED = ("contracts/*.py", "bridges/wire/*.py", "bridges/wire/sip/*.py", "sidecar/outbox.py")


def modules(root: Path) -> Iterator[Path]:
    """Yield every module that is held to it."""
    for pattern in COVERED:
        yield from (path for path in sorted(root.glob(pattern)) if path.stem != "__init__")


def shortfall(root: Path, module: Path) -> str:
    """Return what the module's own tests leave uncovered; "" for nothing."""
    name = module.relative_to(root)
    tests = root / "tests" / name.with_name(f"test_{name.name}")
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "COVERAGE_FILE": str(Path(folder, "coverage"))}
        # A folder of its own, too: pytests that share one trip over each other tidying it up.
        pytest = ["-m", "pytest", "-q", f"--basetemp={folder}/pytest", str(tests)]
        measure = ["-m", "coverage", "run", f"--include={name}", *pytest]
        ran = _python(root, measure, environ)
        if ran.returncode != 0:
            return f"{name}: its tests fail\n{ran.stdout}{ran.stderr}"
        told = _python(root, ["-m", "coverage", "report", "--fail-under=100"], environ)
        return "" if told.returncode == 0 else f"{name}:\n{told.stdout}{told.stderr}"


def _python(
    root: Path, arguments: list[str], environ: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=root,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def main(root: Path) -> int:
    found = list(modules(root))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        shortfalls = [text for text in pool.map(lambda path: shortfall(root, path), found) if text]
    for text in shortfalls:
        sys.stderr.write(f"{text}\n")
    held = len(found) - len(shortfalls)
    sys.stderr.write(f"{held} of {len(found)} modules are covered by their own tests\n")
    return 1 if shortfalls else 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent.parent))
