"""What the stand-in realtime models say: a scripted reply as sound and words, at the script's pace.

Each takes a caller's turn for the next of the script's `transcripts`, since it cannot hear words.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tests.fakes.vendors.script import Fault, Reply, VendorScript
from tests.fakes.vendors.tone import PLAIN_HZ, duration_s, tone

RATE_HZ = 24_000
CHUNK_S = 0.2
_SLOW = 10
_RESET_AFTER = 3


@dataclass(frozen=True, slots=True)
class Piece:
    """Some words, and the sound of them: PCM16 at 24 kHz."""

    text: str
    audio: bytes


class BrokenOff(Exception):
    """The script wants the connection to break here."""


def reply_to(script: VendorScript, said: str) -> Reply:
    """Return the script's reply to what was said last."""
    for reply in script.replies:
        if re.search(reply.when, said, re.IGNORECASE):
            return reply
    return Reply(text="Yes, that is so. Your booking is on Monday, and nothing else is open.")


def words_of(script: VendorScript, turn: int) -> str:
    """Return what the caller said in a turn, counted from 1."""
    heard = script.transcripts
    return heard[turn - 1] if turn <= len(heard) else f"turn {turn}"


async def pieces(script: VendorScript, reply: Reply, fault: Fault | None) -> AsyncIterator[Piece]:
    """Yield a reply piece by piece, each when it is due.

    Raises:
        BrokenOff: the fault is to break off in the middle.
    """
    due = time.monotonic() + script.realtime_first_audio_ms / 1000
    is_slow = fault is not None and fault.kind == "drip"
    pace_s = CHUNK_S / script.realtime_speed * (_SLOW if is_slow else 1)
    length_s = duration_s(reply.text) if reply.text else 0.0
    audio = tone(PLAIN_HZ, length_s, RATE_HZ).tobytes()
    count = max(1, round(length_s / CHUNK_S)) if length_s else 0
    bounds = [len(audio) // 2 * number // max(1, count) * 2 for number in range(count + 1)]
    words = re.findall(r"\s*\S+", reply.text)
    for number in range(count):
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        due += pace_s
        text = "".join(words[len(words) * number // count : len(words) * (number + 1) // count])
        yield Piece(text, audio[bounds[number] : bounds[number + 1]])
        if fault is not None and fault.kind == "reset" and number + 1 == _RESET_AFTER:
            raise BrokenOff
    if not count:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
