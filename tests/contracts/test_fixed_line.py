"""Which lines are the same for every caller."""

from __future__ import annotations

from contracts.bot import BotConfig
from contracts.fixed_line import fixed_lines


def test_lines_without_variables_are_fixed_in_the_order_of_a_call() -> None:
    config = BotConfig.model_validate(
        {
            "opening_message": "Hello.",
            "resilience": {"apology_message": "Sorry."},
            "manners": {"filler": {"phrases": ["One moment."]}},
            "re_engagement": {"messages": ["Are you there?", "Hello {{crm.name}}?", "Hello."]},
            "closing_message": "Bye {{name}}.",
            "pre_transfer_message": "I put you through.",
            "transfer_failed_message": "  ",
            "recovery_message": "",
            "voicemail_message": "Call us back.",
            "machine_detection": {"screening_message": "Nova Dental."},
            "tools": [{"name": "look", "url": "https://x.example", "pre_message": "Let me look."}],
            "mcp_servers": [
                {"name": "crm", "url": "https://x.example", "pre_message": "I ask for {{x}}."}
            ],
        }
    )
    assert fixed_lines(config) == [
        "Hello.",
        "Sorry.",
        "One moment.",
        "Are you there?",
        "I put you through.",
        "Call us back.",
        "Nova Dental.",
        "Let me look.",
    ]


def test_bot_that_says_nothing_by_itself_has_the_platforms_lines() -> None:
    config = BotConfig()
    assert fixed_lines(config) == [
        config.resilience.apology_message,
        config.transfer_failed_message,
        config.recovery_message,
    ]
