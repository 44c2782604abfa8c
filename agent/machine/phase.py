"""How far a call that we placed has come between its answer and the bot's first words."""

from __future__ import annotations

from enum import Enum

from contracts.ids import Channel
from contracts.plan import AgentPlan


class Phase(Enum):
    """Who is listened to, and what for."""

    OFF = "off"
    GREETING = "greeting"
    """Somebody has taken the call; nobody knows who."""
    INTRODUCING = "introducing"
    """A screening service hears who calls."""
    MAILBOX = "mailbox"
    """A machine is not ready for the message yet."""
    MESSAGE = "message"
    """It records."""
    PERSON = "person"
    """The bot talks with somebody who may prove a machine still."""


AT_MACHINE = (Phase.MAILBOX, Phase.MESSAGE)


def is_wanted(plan: AgentPlan) -> bool:
    """Return whether it is to be found out who took a call."""
    config = plan.config
    is_heard = not plan.text_only and plan.channel is not Channel.WEB
    is_placed = plan.call_direction == "outgoing" and not plan.history
    is_dialled = plan.channel is Channel.DIALOUT
    enabled = config.machine_detection.enabled
    is_asked = is_dialled if enabled is None else enabled
    # A model that judges turns itself answers whatever it hears, and tells no words of it in time.
    is_ruled = config.runtime_mode == "pipeline" or config.turn.detector != "stt"
    return is_asked and is_placed and is_heard and is_ruled
