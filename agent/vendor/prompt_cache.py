"""A prompt that a vendor keeps for us, named by the bot's config: made and renewed by its owner."""

from __future__ import annotations

from collections.abc import Callable

from livekit.agents import llm

from contracts.engines import PromptParts


class PromptCache:
    """Which prompt is kept, what is still to be said beside it, and whether it is there.

    Args:
        name: the vendor's name of it, such as `cachedContents/abc123`. It holds the static prompt
            and the tools.
        dynamic: the part of the prompt that is another for each call.
    """

    def __init__(self, name: str, dynamic: str) -> None:
        self.name = name
        self._dynamic = dynamic
        self.is_lost = False
        self.on_lost: Callable[[int], None] | None = None
        """Called once, with the status that the vendor answered to its name."""

    @classmethod
    def of(cls, parts: PromptParts | None) -> PromptCache | None:
        """Return the cache that a bot's prompt names; None where it names none."""
        if parts is None or not parts.is_live or not parts.cached_content:
            return None
        return cls(parts.cached_content, parts.dynamic_runtime_prompt)

    def rest_of(self, chat: llm.ChatContext) -> llm.ChatContext:
        """Return a conversation without the instructions that are kept.

        The dynamic part goes first, as words of the user's: a request with a kept prompt may bring
        no instructions of its own.
        """
        rest = llm.ChatContext.empty()
        if self._dynamic:
            rest.add_message(role="user", content=self._dynamic, created_at=0.0)
        has_instructions = bool(chat.items) and _instructs(chat.items[0])
        rest.items.extend(chat.items[1:] if has_instructions else chat.items)
        return rest

    def lose(self, status: int) -> None:
        """Do without it from now on: the vendor answered `status` to its name."""
        if not self.is_lost and self.on_lost is not None:
            self.on_lost(status)
        self.is_lost = True


def _instructs(item: llm.ChatItem) -> bool:
    return isinstance(item, llm.ChatMessage) and item.role in ("system", "developer")
