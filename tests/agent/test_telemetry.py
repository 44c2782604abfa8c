"""What the agent's libraries must not do: tell anybody that they run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def test_models_leave_no_trace_outside_the_platform(tmp_path: Path) -> None:
    # The inference library stays silent of its own where it takes a machine for a build server.
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    subprocess.run(
        [sys.executable, "-c", "from agent.speech import load; load()"],
        cwd=_ROOT,
        env=environ,
        check=True,
        timeout=60,
    )
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
