"""Asks a part whether it is well: `healthy.py URL`, for an agent `healthy.py FLEET_URL agent`.

An agent has no port of its own. It is well while the sidecar hears of it.
"""

from __future__ import annotations

import json
import socket
import sys
import urllib.request
from typing import Any

_TIMEOUT_S = 3


def main(url: str, part: str = "") -> str | None:
    """Return what is wrong, if anything is."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
            said: dict[str, Any] = json.load(answer)
    except (OSError, ValueError) as error:
        return f"{url}: {error}"
    if not part:
        return None
    own = f"{part}-{socket.gethostname()}-"
    heard = [worker for worker in said["workers"] if worker["id"].startswith(own)]
    if not any("status" not in worker for worker in heard):
        return f"the sidecar has not heard of {own}… lately"
    return None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
