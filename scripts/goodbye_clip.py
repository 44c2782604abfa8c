"""`python -m scripts.goodbye_clip`: makes the clip that callers hear when the platform fails.

Kept in the project as a file: whoever plays it must not depend on a voice.
"""

from __future__ import annotations

import wave

from livekit import rtc

from agent.speech.voice import RATE_HZ, load_voice
from bridges.goodbye import CLIP
from bridges.goodbye import RATE_HZ as PHONE_HZ

WORDS = "I am sorry, we have a technical problem. Please call again later. Goodbye."


def main() -> None:
    """Speak the words and write them at the telephone's rate."""
    resampler = rtc.AudioResampler(RATE_HZ, PHONE_HZ, quality=rtc.AudioResamplerQuality.HIGH)
    frames = [*resampler.push(bytearray(load_voice().say(WORDS))), *resampler.flush()]
    CLIP.parent.mkdir(exist_ok=True)
    with wave.open(str(CLIP), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(PHONE_HZ)
        for frame in frames:
            file.writeframes(bytes(frame.data))


if __name__ == "__main__":
    main()
