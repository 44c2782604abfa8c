"""How a session enters its room: without any of what the SDK would do there by itself."""

from __future__ import annotations

from livekit import rtc
from livekit.agents import Agent, AgentSession
from livekit.agents.voice import room_io


async def enter(
    session: AgentSession[None], bot: Agent, room: rtc.Room, caller_identity: str
) -> None:
    """Start the session. Audio, text, recording and endings are ours."""
    await session.start(
        bot,
        room=room,
        room_options=room_io.RoomOptions(
            audio_input=False,
            audio_output=False,
            text_input=False,
            text_output=False,
            participant_identity=caller_identity,
            close_on_disconnect=False,
        ),
        # It would tell prompts to whoever is in the room, and take orders from them.
        session_host=False,
        record=False,
    )
