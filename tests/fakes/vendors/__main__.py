"""`python -m tests.fakes.vendors`: the stand-in vendors as a process of their own."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from tests.fakes.vendors.script import VendorScript
from tests.fakes.vendors.server import VendorServer


def main() -> None:
    """Serve until told to stop; say where in one line of JSON."""
    parser = argparse.ArgumentParser(prog="tests.fakes.vendors", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--stt-final-ms", type=float, default=150)
    parser.add_argument("--llm-first-token-ms", type=float, default=200)
    parser.add_argument("--llm-token-ms", type=float, default=20)
    parser.add_argument("--tts-first-audio-ms", type=float, default=120)
    parser.add_argument("--seed", type=int, default=0, help="taken and unused: nothing is random")
    parser.add_argument("--script", type=Path, help="a JSON file with more of the script")
    parser.add_argument("--log", type=Path, help="where each step is written as a JSON line")
    given = parser.parse_args()
    script = VendorScript()
    script.change(
        {
            "stt_final_ms": given.stt_final_ms,
            "llm_first_token_ms": given.llm_first_token_ms,
            "llm_token_ms": given.llm_token_ms,
            "tts_first_audio_ms": given.tts_first_audio_ms,
            **(json.loads(given.script.read_text()) if given.script else {}),
        }
    )
    asyncio.run(_serve(VendorServer(script, port=given.port, log=given.log)))


async def _serve(vendors: VendorServer) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with vendors:
        places = {name: getattr(vendors, name) for name in ("deepgram", "openai", "elevenlabs")}
        sys.stdout.write(json.dumps({"port": vendors.port, **places}) + "\n")
        sys.stdout.flush()
        await stopping.wait()


if __name__ == "__main__":
    main()
