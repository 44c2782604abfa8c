"""What the session tells, as facts in the order they make sense."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from livekit.agents import llm
from livekit.agents.voice.events import (
    ConversationItemAddedEvent,
    UserInputTranscribedEvent,
    UserStateChangedEvent,
)

from agent.account import Account
from agent.chat import TYPED
from contracts.report import Fact, IntentFound, Noticed, TranscriptLine

BEGAN = 1_700_000_000.0


class Told:
    """An account and what it told."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.account = Account(self.facts.append)

    def speaking(self, at: float) -> None:
        self.account.on_user_state(
            UserStateChangedEvent(old_state="listening", new_state="speaking", created_at=at)
        )

    def heard(self, text: str, *, final: bool = True) -> bool:
        return self.account.on_transcribed(
            UserInputTranscribedEvent(transcript=text, is_final=final)
        )

    def added(self, role: Any, text: str, **message: Any) -> None:
        item = llm.ChatMessage(role=role, content=[text] if text else [], **message)
        self.account.on_item(ConversationItemAddedEvent(item=item))

    def types(self) -> list[str]:
        return [fact.type for fact in self.facts]

    def lines(self) -> list[tuple[str, str]]:
        return [(f.speaker, f.text) for f in self.facts if isinstance(f, TranscriptLine)]


@pytest.fixture
def told() -> Told:
    return Told()


def test_caller_is_told_when_the_session_takes_the_turn_up(told: Told) -> None:
    assert told.heard("when are you") is True
    assert told.heard("open") is True
    assert told.facts == []
    told.added("user", "when are you open")
    assert told.lines() == [("customer", "when are you open")]
    told.account.close()
    assert len(told.facts) == 1


def test_caller_is_dated_by_the_beginning_of_the_voice(told: Told) -> None:
    told.speaking(BEGAN)
    told.speaking(BEGAN + 2)
    told.added("user", "hello")
    (line,) = told.facts
    assert line.at == datetime.fromtimestamp(BEGAN, UTC)
    told.speaking(BEGAN + 9)
    told.added("user", "again")
    assert told.facts[-1].at == datetime.fromtimestamp(BEGAN + 9, UTC)


def test_bot_is_dated_by_the_first_sample_and_told_as_heard(told: Told) -> None:
    told.added("assistant", " We are ", interrupted=True, metrics={"started_speaking_at": BEGAN})
    (line,) = told.facts
    assert isinstance(line, TranscriptLine)
    assert (line.text, line.interrupted) == ("We are", True)
    assert line.at == datetime.fromtimestamp(BEGAN, UTC)


@pytest.mark.parametrize("role", ["system", "developer"])
def test_what_nobody_said_is_not_told(told: Told, role: str) -> None:
    told.added(role, "Be kind.")
    told.added("user", "")
    call: Any = llm.FunctionCall(call_id="1", name="end_call", arguments="{}")
    told.account.on_item(ConversationItemAddedEvent.model_construct(item=call))
    assert told.facts == []


def test_words_nobody_answered_are_told_at_the_end(told: Told) -> None:
    told.heard("one more")
    told.heard("thing")
    told.account.close()
    told.account.close()
    assert told.lines() == [("customer", "one more thing")]


def test_interim_words_are_half_heard_until_the_final_comes(told: Told) -> None:
    assert told.heard("plea", final=False) is False
    assert told.account.half_heard
    assert told.heard("  ") is False
    told.heard("plea", final=False)
    told.heard("please")
    assert not told.account.half_heard


def test_intent_follows_the_words_it_lies_in(told: Told) -> None:
    told.heard("book a table")
    told.account.intend("book", 0.9, {"seats": 2})
    assert told.facts == []
    told.added("user", "book a table")
    assert told.types() == ["transcript_line", "intent_found"]


def test_intent_found_after_its_words_were_told_comes_at_once(told: Told) -> None:
    told.heard("book a table")
    told.added("user", "book a table")
    told.account.intend("book", 0.9, {})
    told.account.close()
    assert [fact for fact in told.facts if isinstance(fact, IntentFound)] == [told.facts[-1]]


def test_words_over_the_bot_are_told_and_noticed(told: Told) -> None:
    told.account.said_over_bot("uh-huh")
    assert told.lines() == [("customer", "uh-huh")]
    assert isinstance(told.facts[-1], Noticed)


def test_what_the_bot_listens_for_follows_the_line_it_lies_in() -> None:
    facts: list[Fact] = []
    account = Account(facts.append, {"paid": ["I have already paid"], "agent": ["an agent"]})
    told = Told()
    told.account, told.facts = account, facts
    told.added("user", "I have already paid, you know.")
    told.added("assistant", "I have already paid.")
    assert told.types() == ["transcript_line", "intent_found", "transcript_line"]
    intent = facts[1]
    assert isinstance(intent, IntentFound)
    assert (intent.name, intent.confidence, intent.slots) == ("paid", 1.0, {})


def test_typed_line_is_marked_and_leaves_spoken_words_to_their_own_turn(told: Told) -> None:
    told.heard("when are you")
    told.speaking(BEGAN)
    told.added("user", "Never mind", extra={TYPED: True}, created_at=BEGAN + 5)
    told.account.close()
    lines = [fact for fact in told.facts if isinstance(fact, TranscriptLine)]
    assert [(line.text, line.typed) for line in lines] == [
        ("Never mind", True),
        ("when are you", False),
    ]
    assert [line.at.timestamp() for line in lines] == [BEGAN + 5, BEGAN]


def test_intent_lies_in_a_typed_line_as_well() -> None:
    facts: list[Fact] = []
    account = Account(facts.append, {"hours": ["when are you open"]})
    message = llm.ChatMessage(role="user", content=["When are you open?"], extra={TYPED: True})
    account.on_item(ConversationItemAddedEvent(item=message))
    assert [fact.type for fact in facts] == ["transcript_line", "intent_found"]
