"""The built-in tools for a telephone's keys: wait for the caller's, press them oneself."""

from __future__ import annotations

import re
from typing import Any, Protocol

from livekit.agents import RunContext, llm
from livekit.agents.llm import ToolError, ToolResult

from agent.keypad import Entered, Wanted
from agent.tools import OnCalled, tool
from contracts.bot import BotConfig

COLLECT_DIGITS = "collect_digits"
SEND_DIGITS = "send_digits"
MAX_DIGITS = 32
_SENDABLE = re.compile(r"[0-9*#A-D,]{1,64}")


class KeyControl(Protocol):
    """What tools may do with a line's keys."""

    async def collect_digits(
        self, context: RunContext[Any], prompt: str, wanted: Wanted
    ) -> Entered:
        """Ask for keys, and return those the caller pressed."""

    async def send_digits(self, context: RunContext[Any], digits: str) -> str:
        """Press keys, and return once they are; or return why not."""


def key_tools(
    config: BotConfig, phone: KeyControl, on_called: OnCalled, *, can_press: bool = True
) -> list[llm.Tool]:
    """Return the tools a bot's config allows it on a line whose keys are heard.

    Args:
        config: the bot's.
        phone: the line.
        on_called: told of each use.
        can_press: whether the far end can hear keys of ours, too.
    """

    async def collect(arguments: dict[str, Any], context: RunContext[Any]) -> Any:
        prompt = str(arguments.get("prompt") or "")
        entered = await phone.collect_digits(context, prompt, wanted(arguments))
        result = {"digits": entered.digits, "ended_by": entered.ended_by}
        if entered.ended_by == "speech":
            # Their words are a turn of their own, and are answered.
            return ToolResult(result, reply_required=False)
        return result

    async def send(arguments: dict[str, Any], context: RunContext[Any]) -> Any:
        digits = str(arguments.get("digits") or "").replace(" ", "").upper()
        if not _SENDABLE.fullmatch(digits):
            raise ToolError("digits: 0-9, *, #, A-D, and a comma for half a second's pause")
        if failed := await phone.send_digits(context, digits):
            raise ToolError(failed)
        return {"sent": "yes"}

    tools: list[llm.Tool] = []
    if config.collect_digits_enabled:
        tools.append(
            tool(
                COLLECT_DIGITS,
                "Have the caller enter digits on their keypad, and wait for them.",
                _COLLECTED,
                collect,
                on_called,
            )
        )
    if config.send_digits_enabled and can_press:
        tools.append(
            tool(
                SEND_DIGITS,
                "Press keys on the phone, to get through a menu of the other side.",
                {"digits": {"type": "string", "description": "0-9, *, #; a comma is a pause."}},
                send,
                on_called,
            )
        )
    return tools


def wanted(arguments: dict[str, Any]) -> Wanted:
    """Return what a model asks for, each within reason; what makes no sense is the default."""
    usual = Wanted()
    finish = str(arguments.get("finish_on_key", usual.finish_on_key))
    return Wanted(
        max_digits=int(_within(arguments.get("max_digits"), usual.max_digits, 1, MAX_DIGITS)),
        finish_on_key=finish if finish in set("0123456789*#") else "",
        timeout_s=_within(arguments.get("timeout_s"), usual.timeout_s, 1, 60),
        inter_digit_timeout_s=_within(
            arguments.get("inter_digit_timeout_s"), usual.inter_digit_timeout_s, 0.5, 30
        ),
    )


def _within(value: Any, usual: float, least: float, most: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return usual
    # Anything but a number between the two, NaN included.
    return min(max(number, least), most) if number == number else usual


_COLLECTED: dict[str, Any] = {
    "prompt": {
        "type": "string",
        "description": "What to ask; leave out where it has just been asked.",
    },
    "max_digits": {"type": "integer", "description": "How many end the entry at once."},
    "finish_on_key": {"type": "string", "description": "The key that ends the entry: # as a rule."},
    "timeout_s": {"type": "number", "description": "How long to wait for the first key."},
    "inter_digit_timeout_s": {"type": "number", "description": "How long between two keys."},
}
