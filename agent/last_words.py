"""What a caller was saying when they hung up."""

from __future__ import annotations

import asyncio

from livekit.agents import AgentSession

from agent.account import Account
from agent.link import Link
from agent.telephone import SPEECH_TAIL_S

_LAST_WORDS_S = 1.2


async def last_words(session: AgentSession[None], link: Link, account: Account) -> None:
    """Let a sentence that the hang-up cut short still reach the transcript."""
    if not account.half_heard and session.user_state != "speaking":
        return
    link.input.push_silence(SPEECH_TAIL_S)
    try:
        async with asyncio.timeout(2 * _LAST_WORDS_S):
            await session.commit_user_turn(transcript_timeout=_LAST_WORDS_S, skip_reply=True)
    except (TimeoutError, RuntimeError):
        # A RuntimeError means that the session has closed, and the words went with it.
        account.notice("last_words_unclear")
