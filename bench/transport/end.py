"""One end of the measurement, a process of its own so that its cost can be told from the others'.

`python -m bench.transport.end SPEC`: joins, says `ready`, waits for a line, works, says its result.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass

from bench.transport.data import LoneWire, LossyWire, NudgedWire, ReliableWire
from bench.transport.track import TrackWire
from bench.transport.wire import Concealed, Wire

WIRES: dict[str, type[ReliableWire] | type[TrackWire]] = {
    "reliable": ReliableWire,
    "lossy": LossyWire,
    "track": TrackWire,
    "lone": LoneWire,
    "nudged": NudgedWire,
}
WARM_UP_S = 1.5
LINGER_S = 2.0
"""What is not back by then is lost."""


@dataclass(frozen=True, slots=True)
class Seat:
    """One room's seat."""

    token: str
    peer: str


@dataclass(frozen=True, slots=True)
class Spec:
    """What one end has to do."""

    wire: str
    echoing: bool
    url: str
    seconds: float
    seats: tuple[Seat, ...]

    @classmethod
    def parse(cls, text: str) -> Spec:
        """Return the specification a parent wrote with `serialize`."""
        fields = json.loads(text)
        seats = tuple(Seat(**seat) for seat in fields.pop("seats"))
        return cls(seats=seats, **fields)

    def serialize(self) -> str:
        """Return it as one line of JSON."""
        return json.dumps(asdict(self))


async def _speak(wire: Wire, offset_s: float, seconds: float) -> list[float | None]:
    """Speak, and return each trip's time in ms, in order; None for what never came back."""
    began = time.monotonic() + offset_s
    warm_at, number = began + WARM_UP_S, 0
    while (due := began + number * wire.frame_s) < warm_at + seconds:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        wire.speak(number, time.monotonic())
        number += 1
    await asyncio.sleep(LINGER_S)
    sent, back = wire.trips.sent_at, wire.trips.back_at
    return [
        round((back[n] - sent[n]) * 1000, 2) if n in back else None
        for n in sorted(sent)
        if sent[n] >= warm_at
    ]


async def _settled(wires: list[Wire]) -> list[Concealed]:
    await asyncio.sleep(WARM_UP_S)
    return [await wire.concealed() for wire in wires]


async def run(spec: Spec) -> None:
    """Take part in one measurement."""
    wires: list[Wire] = [WIRES[spec.wire](echoing=spec.echoing) for _ in spec.seats]
    for wire, seat in zip(wires, spec.seats, strict=True):
        await wire.join(spec.url, seat.token, seat.peer)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    before_task = asyncio.create_task(_settled(wires))
    trips: list[list[float | None]] = []
    if spec.echoing:
        await asyncio.sleep(WARM_UP_S + spec.seconds)
    else:
        frame_s = wires[0].frame_s
        offsets = [frame_s * index / len(wires) for index in range(len(wires))]
        speaking = [
            _speak(wire, offset, spec.seconds) for wire, offset in zip(wires, offsets, strict=True)
        ]
        trips = await asyncio.gather(*speaking)
    before, after = await before_task, [await wire.concealed() for wire in wires]
    result = {
        "trips_ms": trips,
        "concealed_samples": sum(x.samples for x in after) - sum(x.samples for x in before),
        "concealed_gaps": sum(x.gaps for x in after) - sum(x.gaps for x in before),
        "of_samples": sum(x.of_samples for x in after) - sum(x.of_samples for x in before),
    }
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    for wire in wires:
        await wire.leave()


if __name__ == "__main__":
    asyncio.run(run(Spec.parse(sys.argv[1])))
