"""Which lines of a bot's are the same for every caller: their audio may be made once and kept."""

from __future__ import annotations

from collections.abc import Iterator

from contracts import template
from contracts.bot import BotConfig


def fixed_lines(config: BotConfig) -> list[str]:
    """Return what a bot says by itself, each line once, without those that hold variables.

    Args:
        config: a bot's, its templates still unresolved. One that was made for a single caller has
            none, and no fixed lines either: it must not come here.
    """
    return list(dict.fromkeys(line for line in _lines(config) if _is_fixed(line)))


def _lines(config: BotConfig) -> Iterator[str]:
    """Yield lines in the order in which calls come to need them."""
    yield config.opening_message
    yield config.resilience.apology_message
    yield from config.manners.filler.phrases
    if config.re_engagement is not None:
        yield from config.re_engagement.messages
    yield config.closing_message
    yield config.pre_transfer_message
    yield config.transfer_failed_message
    yield config.hold_resume_message
    yield config.recovery_message
    yield config.voicemail_message
    yield config.machine_detection.screening_message
    yield from (tool.pre_message for tool in config.tools)
    yield from (server.pre_message for server in config.mcp_servers)


def _is_fixed(line: str) -> bool:
    return bool(line.strip()) and not template.has_tokens(line)
