"""A real Redis for tests, for as long as it is needed."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class RedisMissing(Exception):
    """There is no Redis on this machine."""


@contextmanager
def running_redis(folder: Path) -> Iterator[str]:
    """Yield the `host:port` of a Redis that keeps nothing.

    Raises:
        RedisMissing: install `redis-server`.
    """
    binary = shutil.which("redis-server")
    if binary is None:
        raise RedisMissing("install redis-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [
        binary,
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        str(folder),
    ]
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
