"""The agent's packets on their way to the bridge, in order, each with what gets it there fast.

A packet that the network loses is sent again once the far end reports that later ones have come;
where none follow, only after a time-out of 0.4 s. A `Pause` or the first word of a line is such a
packet: nothing follows it. So a few empty ones do, on the lossy channel, which nobody waits for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from livekit import rtc

from contracts import media
from contracts.ids import MEDIA_TOPIC

NUDGE_TOPIC = "vf.nudge"
"""Nobody listens to it."""
NUDGES = 4
"""Three reports of a gap have a packet sent again; the fourth may be lost itself."""
NUDGE_EACH_S = 0.02


class Outgoing:
    """A queue of packets for one caller's bridge.

    Args:
        room: where both are.
        caller_identity: whom to send to.
        leaves: told of each piece of speech that leaves, by its segment.
    """

    def __init__(self, room: rtc.Room, caller_identity: str, leaves: Callable[[int], None]) -> None:
        self._room = room
        self._caller_identity = caller_identity
        self._leaves = leaves
        self._packets: asyncio.Queue[media.DownPacket] = asyncio.Queue()
        self._segment = 0

    def put(self, packet: media.DownPacket) -> None:
        """Send a packet after those before it."""
        self._packets.put_nowait(packet)

    async def run(self) -> None:
        """Send what is queued until cancelled or the room is gone."""
        nudges = 0
        while True:
            try:
                async with asyncio.timeout(NUDGE_EACH_S if nudges else None):
                    packet = await self._packets.get()
            except TimeoutError:
                nudges -= 1
                await self._publish(b"", NUDGE_TOPIC, reliable=False)
                continue
            nudges = NUDGES if self._may_be_the_last(packet) else 0
            await self._publish(media.serialize(packet), MEDIA_TOPIC, reliable=True)

    def _may_be_the_last(self, packet: media.DownPacket) -> bool:
        """Return whether nothing need follow soon, as it does upon speech that has begun."""
        if not isinstance(packet, media.Speech):
            return True
        self._leaves(packet.segment)
        began, self._segment = packet.segment != self._segment, packet.segment
        return began

    async def _publish(self, payload: bytes, topic: str, *, reliable: bool) -> None:
        await self._room.local_participant.publish_data(
            payload,
            reliable=reliable,
            destination_identities=[self._caller_identity],
            topic=topic,
        )
