"""A real Redis for tests, for as long as it is needed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fakes.missing import Required, missing
from tests.fakes.ports import free_port


@contextmanager
def running_redis(folder: Path) -> Iterator[str]:
    """Yield the `host:port` of a Redis that keeps nothing."""
    binary = shutil.which("redis-server")
    if binary is None:
        missing(Required.REDIS, "Redis: install redis-server")
    port = free_port()
    options = {"port": str(port), "bind": "127.0.0.1", "save": "", "dir": str(folder)}
    command = [binary, *(word for name, value in options.items() for word in (f"--{name}", value))]
    # It says by its standard output that it is ready.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        while line := process.stdout.readline():
            if "Ready to accept connections" in line:
                break
        else:
            raise RuntimeError(f"redis-server ended with {process.wait()}")
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(5)
        process.stdout.close()
