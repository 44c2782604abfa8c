"""A prompt that the vendor keeps."""

from __future__ import annotations

from livekit.agents import llm

from agent.vendor.prompt_cache import PromptCache
from contracts.engines import PromptParts

LIVE = PromptParts(
    mode="direct",
    cache_enabled=True,
    static_system_prompt="You book visits.",
    dynamic_runtime_prompt="The caller is Asha.",
    cached_content="cachedContents/7",
)


def chat(*lines: tuple[llm.ChatRole, str]) -> llm.ChatContext:
    context = llm.ChatContext.empty()
    for number, (role, text) in enumerate(lines):
        context.add_message(role=role, content=text, created_at=float(number))
    return context


def said(context: llm.ChatContext) -> list[tuple[str, str | None]]:
    return [(each.role, each.text_content) for each in context.messages()]


def test_prompt_is_kept_where_the_parts_are_live_and_name_it() -> None:
    cache = PromptCache.of(LIVE)
    assert cache is not None
    assert cache.name == "cachedContents/7"
    assert PromptCache.of(None) is None
    assert PromptCache.of(LIVE.model_copy(update={"cache_enabled": False})) is None
    assert PromptCache.of(LIVE.model_copy(update={"cached_content": ""})) is None


def test_instructions_are_left_out_and_what_is_new_goes_first() -> None:
    whole = chat(("system", "You book visits."), ("assistant", "Hello."), ("user", "Hi."))
    rest = PromptCache("c", "The caller is Asha.").rest_of(whole)
    assert said(rest) == [
        ("user", "The caller is Asha."),
        ("assistant", "Hello."),
        ("user", "Hi."),
    ]
    assert len(whole.items) == 3


def test_conversation_without_instructions_is_left_alone() -> None:
    cache = PromptCache("c", "")
    assert said(cache.rest_of(chat(("user", "Hi.")))) == [("user", "Hi.")]
    assert said(cache.rest_of(chat())) == []


def test_loss_is_told_once() -> None:
    cache = PromptCache("c", "")
    told: list[int] = []
    cache.on_lost = told.append
    cache.lose(403)
    cache.lose(404)
    assert cache.is_lost
    assert told == [403]
