"""Throws mutated descriptions and datagrams at a call's media: only `SdpError` may come out.

`python -m bench.fuzz_media [--cases N] [--seed S]` exits with 1 on anything else and prints the
case.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from pathlib import Path
from random import Random

from bridges.sip.rtp_stream import RtpStream
from bridges.wire.media_plan import Capabilities, LocalMedia, MediaPlan, SrtpUse
from bridges.wire.offer_answer import Answer, answer_offer, build_offer, new_keys, read_answer
from bridges.wire.sdp import SdpError, Session

VECTORS = Path(__file__).parents[1] / "tests" / "vectors"
DEFAULT_CASES = 100_000
DATAGRAMS = 4
LOCAL = LocalMedia("198.51.100.99", 20_000, 1)
CAPABILITIES = [
    Capabilities(srtp=use, own_order=order) for use in SrtpUse for order in (True, False)
]
PIECES = [
    b"\r\n", b":", b" ", b"/", b"|", b"\0", b"\xff\xfe", b"\xc2\x85", b"99999999999", b"-1",
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:", b"a=rtpmap:8 ", b"a=sendonly\r\n",
    b"m=audio 1 RTP/AVP 8\r\n", b"c=IN IP4 0.0.0.0\r\n", b"c=IN IP6 ::\r\n",
]  # fmt: skip


def mutate(random: Random, data: bytes, others: list[bytes]) -> bytes:
    """Return `data` changed in one to six ways, some of them by pieces of others."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 6)):
        at = random.randrange(len(changed) + 1)
        match random.randrange(5):
            case 0:
                changed[at : at + 1] = random.randbytes(1)
            case 1:
                del changed[at : at + random.randrange(20)]
            case 2:
                changed[at:at] = random.choice(PIECES)
            case 3:
                other = random.choice(others)
                start = random.randrange(len(other) + 1)
                changed[at:at] = other[start : start + random.randrange(60)]
            case _:
                changed = changed[:at] if random.random() < 0.2 else changed
    return bytes(changed)


def describe(random: Random, text: bytes) -> MediaPlan | None:
    """Take a broken description as an offer and as an answer; return a plan if one comes of it."""
    try:
        session = Session.parse(text)
    except SdpError:
        return None
    assert Session.parse(session.serialize()) == session
    can = random.choice(CAPABILITIES)
    answered = answer_offer(session, LOCAL, can, random.randbytes)
    read_answer(build_offer(LOCAL, can, new_keys(can, random.randbytes)), session, LOCAL, can)
    if not isinstance(answered, Answer):
        return None
    Session.parse(answered.session.serialize())
    return answered.plan


def run_case(random: Random, descriptions: list[bytes], packets: list[bytes]) -> None:
    """Feed one broken description, and broken datagrams to the call it makes."""
    plan = describe(random, mutate(random, random.choice(descriptions), descriptions))
    if plan is None:
        return
    stream, now = RtpStream(random), 0.0
    stream.apply(plan)
    stream.start(now)
    for _ in range(DATAGRAMS):
        data = mutate(random, random.choice(packets), packets)
        stream.receive(data, plan.remote or ("192.0.2.1", 4000), now)
        now += random.choice((0.0, 0.02, 0.3))
        stream.tick(now)
        stream.outgoing()
    stream.stats()


def fuzz(cases: int, seed: int) -> int:
    """Run the cases and return the exit code."""
    descriptions = [path.read_bytes() for path in sorted((VECTORS / "sdp").glob("*.sdp"))]
    packets = [
        bytes.fromhex(vector["hex"])
        for name in ("packets", "defects")
        for vector in json.loads((VECTORS / f"rtp/{name}.json").read_text()).values()
    ]
    started = time.perf_counter()
    for case in range(cases):
        try:
            run_case(Random(f"{seed}:{case}"), descriptions, packets)
        except Exception:
            sys.stderr.write(f"case {case} of seed {seed}:\n{traceback.format_exc()}")
            return 1
    seconds = time.perf_counter() - started
    sys.stdout.write(f"{cases} cases, {cases / seconds:.0f} cases/s: nothing but SdpError\n")
    return 0


def main() -> int:
    """Read the command line and fuzz."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=DEFAULT_CASES)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    return fuzz(arguments.cases, arguments.seed)


if __name__ == "__main__":
    sys.exit(main())
