"""`python -m tests.fakes.sip_signalling`: the real signalling process over fake media processes."""

from __future__ import annotations

import sys

from bridges.sip.__main__ import main

if __name__ == "__main__":
    main((sys.executable, "-m", "tests.fakes.sip_media"))
