"""What is said to a machine, to its end, while somebody who picks up is still heard."""

from __future__ import annotations

from collections.abc import Callable

from livekit.agents import AgentSession
from livekit.agents.voice import SpeechHandle


class Message:
    """One line. It goes on over noises; only `stop` stops it.

    Args:
        session: says it.
        text: the line.
        on_over: called once it is over, unless it was stopped; with whether it was heard, since a
            voice may fail.
    """

    def __init__(
        self, session: AgentSession[None], text: str, on_over: Callable[[bool], None]
    ) -> None:
        self._session = session
        self._on_over = on_over
        # The recogniser would be given silence while the bot may not be interrupted.
        session.options.interruption["discard_audio_if_uninterruptible"] = False
        if (current := session.current_speech) is not None:
            current.interrupt(force=True)
        self._handle = session.say(text, allow_interruptions=False)
        self._handle.add_done_callback(self._on_done)

    def stop(self) -> None:
        """Say no more of it."""
        self._handle.interrupt(force=True)

    def _on_done(self, handle: SpeechHandle) -> None:
        self._session.options.interruption["discard_audio_if_uninterruptible"] = True
        if not handle.interrupted:
            self._on_over(bool(handle.chat_items))
