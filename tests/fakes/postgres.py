"""A real Postgres for tests: the one that is named, or one of our own for this run."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fakes.missing import Required, missing
from tests.fakes.ports import free_port

_DEBIAN = Path("/usr/lib/postgresql")


@contextmanager
def running_postgres() -> Iterator[str]:
    """Yield the address of the Postgres in `TEST_POSTGRES_URL`, or of one started here."""
    given = os.environ.get("TEST_POSTGRES_URL", "")
    if given:
        yield given
        return
    binaries = _binaries()
    if binaries is None:
        missing(Required.POSTGRES, "Postgres: install it, or set TEST_POSTGRES_URL")
    # Not below pytest's own folder: that is closed to other users.
    folder = Path(f"/var/tmp/voicefleet-postgres-{os.getpid()}")
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody", "nogroup")
    port = free_port()
    control = [str(binaries / "pg_ctl"), "-D", str(folder / "data"), "-s", "-w"]
    options = f"-c fsync=off -c full_page_writes=off -k '' -h 127.0.0.1 -p {port}"
    try:
        _run([*control, "initdb", "-o", "-U voicefleet -A trust -N -E UTF8"])
        _run([*control, "start", "-l", str(folder / "log"), "-o", options])
        yield f"postgresql://voicefleet@127.0.0.1:{port}/postgres"
    finally:
        _run([*control, "stop", "-m", "immediate"])
        shutil.rmtree(folder)


def _binaries() -> Path | None:
    debian = sorted(_DEBIAN.glob("*/bin/pg_ctl"))
    found = str(debian[-1]) if debian else shutil.which("pg_ctl")
    return Path(found).resolve().parent if found else None


def _run(command: list[str]) -> None:
    # Postgres refuses to run as root.
    as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    prefix = as_nobody if os.geteuid() == 0 else []
    subprocess.run(
        [*prefix, *command], check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
