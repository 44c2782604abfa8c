"""The caller's voice as an `AgentSession` takes it."""

from __future__ import annotations

import asyncio

from livekit import rtc
from livekit.agents.voice import io

from agent.segment import SAMPLE_BYTES


class RoomAudioInput(io.AudioInput):
    """The caller's voice as frames of the leg's own rate."""

    def __init__(self, rate_hz: int) -> None:
        super().__init__(label="RoomAudioInput")
        self._rate_hz = rate_hz
        self._frames: asyncio.Queue[rtc.AudioFrame] = asyncio.Queue()
        self._listening = True

    def on_attached(self) -> None:
        """Listen again."""
        super().on_attached()
        self._listening = True

    def on_detached(self) -> None:
        """Hand on nothing while the session has its input disabled."""
        super().on_detached()
        self._listening = False

    def push(self, pcm: bytes) -> None:
        """Hand caller audio to the session."""
        if pcm and self._listening:
            self._frames.put_nowait(
                rtc.AudioFrame(
                    data=pcm,
                    sample_rate=self._rate_hz,
                    num_channels=1,
                    samples_per_channel=len(pcm) // SAMPLE_BYTES,
                )
            )

    def push_silence(self, duration_s: float) -> None:
        """Feed silence at once, so that a segment left open by a hang-up is finished."""
        frame_bytes = self._rate_hz // 25 * SAMPLE_BYTES
        for _ in range(round(duration_s * 25)):
            self.push(bytes(frame_bytes))

    async def __anext__(self) -> rtc.AudioFrame:
        return await self._frames.get()
