"""A real S3 server over a folder, that can be killed and started again where it was."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from scripts.server import S3
from tests.fakes.missing import Required, missing
from tests.fakes.ports import free_port

ROOT = Path(__file__).parents[2]
BUCKET = "recordings"
KEY_ID, SECRET = "voicefleet", "secret-of-the-test-server"
_READY_TIMEOUT_S = 20.0


class S3Server:
    """One server, on a port that it keeps."""

    def __init__(self, folder: Path) -> None:
        own = S3.path(ROOT)
        found = str(own) if own.is_file() else shutil.which(S3.name)
        if found is None:
            missing(Required.S3, "S3 server: run `make setup-test`")
        self._program = found
        self._log = folder / "s3.log"
        self.folder = folder / "data"
        (self.folder / BUCKET).mkdir(parents=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run until it answers."""
        environ = {**os.environ, "ROOT_ACCESS_KEY_ID": KEY_ID, "ROOT_SECRET_ACCESS_KEY": SECRET}
        command = [self._program, "--quiet", "--port", f"127.0.0.1:{self.port}", "posix"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, str(self.folder)], env=environ, stdout=log, stderr=log
            )
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                urllib.request.urlopen(self.url, timeout=1).close()
            except urllib.error.HTTPError as refused:
                refused.close()
                return
            except OSError:
                time.sleep(0.02)
        self.stop()
        raise RuntimeError(f"the S3 server is not ready: {self._log.read_text()}")

    def stop(self) -> None:
        """Kill it, as a power cut would; what it has stored stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Return what tells a sidecar of it."""
        given = {
            "s3_endpoint_url": self.url,
            "s3_bucket": BUCKET,
            "s3_access_key_id": KEY_ID,
            "s3_secret_access_key": SECRET,
        }
        return {**given, **changes}
