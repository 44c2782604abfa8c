"""Throws mutated messages at the wire protocols: only `ProtocolError` may come out.

`python -m bench.fuzz [--cases N] [--seed S]` exits with 1 on anything else and prints the message.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from bench import sip_fuzz
from bridges.wire.close import ProtocolError
from bridges.wire.dialler import DiallerServer
from bridges.wire.dialler_phone import DiallerPhone
from bridges.wire.exotel import ExotelServer
from bridges.wire.exotel_phone import ExotelPhone

VECTORS = Path(__file__).parents[1] / "tests" / "vectors"
DIALLER, EXOTEL = VECTORS / "dialler", VECTORS / "exotel"
DEFAULT_CASES = 100_000
BURST = 6
SIP_EVERY = 20
"""A whole call costs as much as that many messages."""

VALUES: list[Any] = [
    None, True, False, -1, 0, 2**63, 1e308, -0.0, "", " ", "8000", "LINEAR", "incoming", "AAAA",
    "AAA=", "é", "\ud800", "\0", "x" * 300, [], [None], {}, {"encoding": []}, {"sampleRate": {}},
]  # fmt: skip


def insert(random: Random, text: str) -> str:
    """Put an odd character somewhere."""
    place = random.randrange(len(text) + 1)
    return text[:place] + chr(random.choice((0, 34, 92, 123, 0x7F, 0xD800, 0x1F600))) + text[place:]


def cut(random: Random, text: str) -> str:
    """Take a piece out."""
    start, end = sorted((random.randrange(len(text) + 1), random.randrange(len(text) + 1)))
    return text[:start] + text[end:]


def repeat(random: Random, text: str) -> str:
    """Say a piece many times over; now and then this exceeds the size limit."""
    start, end = sorted((random.randrange(len(text) + 1), random.randrange(len(text) + 1)))
    return text[:end] + text[start:end] * random.choice((1, 2, 300)) + text[end:]


def replace(random: Random, text: str) -> str:
    """Give a field another value, or the message another field."""
    fields = json.loads(text)
    # Exotel's fields stand one level down.
    inner = [value for value in fields.values() if isinstance(value, dict)]
    changed = random.choice([fields, *inner])
    changed[random.choice([*changed, "mediaFormat", "payload", "extra"])] = random.choice(VALUES)
    return json.dumps(fields)


def nest(random: Random, text: str) -> str:
    """Bury the message in brackets."""
    depth = random.choice((1, 50, 5_000))
    return random.choice(("[", '{"event":')) * depth + text


MUTATIONS: list[Callable[[Random, str], str]] = [insert, cut, repeat, replace, nest]


def mutate(random: Random, text: str) -> bytes | str:
    """Return the message, changed in one to three ways; rarely as a binary frame."""
    for _ in range(random.randint(1, 3)):
        mutation = random.choice(MUTATIONS)
        try:
            text = mutation(random, text)
        except (ValueError, TypeError, RecursionError):
            continue  # `replace` cannot parse what another mutation left
    return text.encode(errors="replace") if random.random() < 0.01 else text


def run_exotel_case(random: Random, session: list[str], answers: list[str]) -> None:
    """Feed one broken session of Exotel's to each end; raise what came out."""
    server, phone = ExotelServer(0.0), ExotelPhone(min_chunk_bytes=320)
    phone.connect()
    phone.start("stream-1")
    intact = random.randrange(len(session))
    fed: list[bytes | str] = [*session[:intact]]
    fed += [mutate(random, random.choice(session)) for _ in range(BURST)]
    for number, message in enumerate(fed):
        try:
            server.receive(message, float(number))
            server.expire(float(number))
        except ProtocolError:
            pass
        except BaseException as error:
            error.add_note(f"fed to ExotelServer: {message[:200]!r}")
            raise
    answer = mutate(random, random.choice(answers))
    try:
        phone.receive(answer)
    except ProtocolError:
        pass
    except BaseException as error:
        error.add_note(f"fed to ExotelPhone: {answer[:200]!r}")
        raise


def run_case(random: Random, session: list[str], answers: list[str]) -> list[bytes | str]:
    """Feed one broken session to each end; return what was fed, or raise what came out."""
    server, phone = DiallerServer(0.0), DiallerPhone()
    phone.connect({})
    phone.start("s")
    phone.answer()
    intact = random.randrange(len(session))
    fed: list[bytes | str] = [*session[:intact]]
    fed += [mutate(random, random.choice(session)) for _ in range(BURST)]
    for number, message in enumerate(fed):
        try:
            server.receive(message, float(number))
            server.expire(float(number))
        except ProtocolError:
            pass
        except BaseException as error:
            error.add_note(f"fed to DiallerServer: {message[:200]!r}")
            raise
    answer = mutate(random, random.choice(answers))
    try:
        phone.receive(answer)
    except ProtocolError:
        pass
    except BaseException as error:
        error.add_note(f"fed to DiallerPhone: {answer[:200]!r}")
        raise
    return fed


def fuzz(cases: int, seed: int) -> int:
    """Run the cases and return the exit code."""
    session, answers = _lines(DIALLER, "incoming"), _lines(DIALLER, "outgoing", "transfer")
    exotel = _lines(EXOTEL, "incoming", "variants"), _lines(EXOTEL, "outgoing")
    odd = sip_fuzz.torture()
    started = time.perf_counter()
    for case in range(cases):
        try:
            run_case(Random(f"{seed}:{case}"), session, answers)
            run_exotel_case(Random(f"exotel:{seed}:{case}"), *exotel)
            if case % SIP_EVERY == 0:
                sip_fuzz.run_case(Random(f"sip:{seed}:{case}"), odd)
        except Exception:
            sys.stderr.write(f"case {case} of seed {seed}:\n{traceback.format_exc()}")
            return 1
    seconds = time.perf_counter() - started
    messages = 2 * cases * (BURST + 1)
    sys.stdout.write(
        f"{cases} cases, {messages} mutated messages, {cases / seconds:.0f} cases/s: "
        "nothing but ProtocolError\n"
    )
    return 0


def _lines(folder: Path, *names: str) -> list[str]:
    return [line for name in names for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def main() -> int:
    """Read the command line and fuzz."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=DEFAULT_CASES)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    return fuzz(arguments.cases, arguments.seed)


if __name__ == "__main__":
    sys.exit(main())
