"""Holds modules to 100 % branch coverage by their own test module alone; what others touch by the
way does not count.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path

# Most of what a module's tests cost is importing these: each test process begins with them there.
import coverage
import hypothesis.strategies  # noqa: F401
import pydantic  # noqa: F401
import pytest
import pytest_asyncio.plugin  # noqa: F401
import structlog  # noqa: F401
import xdist.plugin
import xdist.scheduler  # noqa: F401

COVERED = (
    "contracts/*.py",
    "contracts/vendor/*.py",
    "bridges/wire/*.py",
    "bridges/wire/sip/*.py",
    "sidecar/outbox.py",
)

_OPTIONS = (
    *("-q", "-p", "no:cacheprovider", "--assert=plain"),
    # What was imported before has assertions of its own, which are not these tests'.
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)
"""Failures are told in full where the tests are run for their own sake."""


def modules(root: Path) -> Iterator[Path]:
    """Yield every module that is held to it."""
    for pattern in COVERED:
        yield from (path for path in sorted(root.glob(pattern)) if path.stem != "__init__")


def shortfall(root: Path, module: Path) -> str:
    """Return what the module's own tests leave uncovered; "" for nothing. Run it once a process."""
    name = module.relative_to(root)
    tests = root / "tests" / name.with_name(f"test_{name.name}")
    os.chdir(root)
    told = io.StringIO()
    with (
        # A folder of its own: pytests that share one trip over each other tidying it up.
        tempfile.TemporaryDirectory() as folder,
        redirect_stdout(told),
        redirect_stderr(told),
    ):
        measure = coverage.Coverage(data_file=None, include=[str(name)])
        measure.start()
        ran = pytest.main([*_OPTIONS, f"--basetemp={folder}/pytest", str(tests)])
        measure.stop()
        if ran != 0:
            return f"{name}: its tests fail\n{told.getvalue()}"
        try:
            covered = measure.report(file=told)
        except coverage.exceptions.NoDataError:
            covered = 0.0
    return "" if covered == 100 else f"{name}:\n{told.getvalue()}"


def main(root: Path) -> int:
    found = list(modules(root))
    # Forked, so that nothing of ours is imported yet, and never used again: a module is imported
    # once a process.
    fork = multiprocessing.get_context("fork")
    with fork.Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        told = pool.imap(partial(shortfall, root), found, chunksize=1)
        shortfalls = [text for text in told if text]
    for text in shortfalls:
        sys.stderr.write(f"{text}\n")
    held = len(found) - len(shortfalls)
    sys.stderr.write(f"{held} of {len(found)} modules are covered by their own tests\n")
    return 1 if shortfalls else 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent.parent))
