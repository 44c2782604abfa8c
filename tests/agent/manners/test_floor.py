"""Who has the floor, word by word."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.manners.floor import Floor, Over, Verdict, asks
from contracts.manners import Manners

STATEMENT = Over("We are open from nine to five, every day.", remaining_s=4.0)
QUESTION = "Shall I book it?"


def floor(min_words: int = 3, **manners: Any) -> Floor:
    judge = Floor(Manners.model_validate(manners), min_words)
    judge.taken_up()  # nothing is asked
    return judge


def over(text: str, line: Over = STATEMENT, *, is_final: bool = True, **manners: Any) -> Verdict:
    return floor(**manners).judge(text, line, is_final=is_final)


@pytest.mark.parametrize(
    "text",
    [
        *("hmm", "Okay.", "uh huh, right", "yeah yeah", "I see, got it", "Okay, thank you", "Yes."),
        *("haan", "haan ji", "Han ji haan", "ji", "Jee.", "theek hai", "thik hai ji", "achha"),
        *("Koi baat nahi ji", "No no, problem", "कोई बात नहीं", "no worries"),
        *("Acha acha theek hai", "sahi hai", "haan haan haan theek hai ji", "bilkul"),
        *("हाँ", "हां जी", "जी हाँ", "ठीक है", "अच्छा", "सही है", "हम्म हम्म", "ओके जी", "हाँ हाँ ठीक है"),
        # What recognisers of English make of them.
        *("Tick hai.", "Teek hai", "Hanji", "Atcha", "Gee"),
        # Too short to be more.
        *("now", "the invoice"),
    ],
)
def test_listeners_noises_let_the_bot_go_on(text: str) -> None:
    assert over(text) is Verdict.HOLD
    assert over(text, is_final=False) is Verdict.HOLD


@pytest.mark.parametrize(
    "text",
    [
        *(
            "wrong number",
            "Already paid!",
            "agent",
            "an agent please",
            "settlement",
            "human",
            "Stop",
        ),
        *("no", "Hello?", "Sorry?", "goodbye", "not interested", "okay wait", "customer care"),
        *("galat number", "Paise de diye.", "ruk jao", "baat karni hai", "nahi", "ek minute"),
        *("payment kar diya", "insaan se", "nahi chahiye", "settlement karna"),
        *("गलत नंबर", "पैसे दे दिए", "रुक जाओ", "बात करनी है", "नहीं", "एक मिनट", "एजेंट"),
        *("I already told you that", "haan lekin mujhe kal chahiye", "Great, thank you so much"),
    ],
)
def test_what_matters_cuts_the_bot_off(text: str) -> None:
    assert over(text) is Verdict.CUT


@pytest.mark.parametrize(
    "text",
    [
        *("no problem", "No worries.", "by the", "don't stop", "not wrong number", "without agent"),
        *("koi baat nahi", "kyon nahi", "कोई बात नहीं", "nonstop", "agency", "humans"),
    ],
)
def test_look_alikes_and_negations_do_not(text: str) -> None:
    assert over(text, min_words=9) is Verdict.HOLD


def test_word_that_may_go_on_is_waited_for() -> None:
    assert over("no", is_final=False) is Verdict.HOLD
    assert over("no", is_final=True) is Verdict.CUT
    assert over("no prob", is_final=False) is Verdict.HOLD
    assert over("no no wrong", is_final=False) is Verdict.CUT
    assert over("stop", is_final=False) is Verdict.CUT


def test_bot_may_have_phrases_of_its_own() -> None:
    assert over("vanakkam") is Verdict.HOLD
    assert over("Fraud!", high_intent={"phrases": ["fraud"]}) is Verdict.CUT
    assert over("seri seri seri") is Verdict.CUT
    assert over("seri seri seri", backchannel={"phrases": ["seri"]}) is Verdict.HOLD


def test_filters_can_be_switched_off() -> None:
    off: dict[str, Any] = {"enabled": False, "phrases": ["fraud"]}
    assert over("wrong number", high_intent=off) is Verdict.HOLD
    assert over("Fraud", high_intent=off) is Verdict.HOLD
    assert over("okay okay okay", backchannel=off) is Verdict.CUT
    assert over("okay", backchannel=off) is Verdict.HOLD
    assert floor(backchannel=off).judge("hmm", None, is_final=True) is Verdict.PASS


@pytest.mark.parametrize("min_words", [0, 1, 2])
def test_backchannel_is_none_of_the_words_that_count(min_words: int) -> None:
    assert over("haan ji", min_words=min_words) is Verdict.HOLD
    assert over("the invoice", min_words=min_words) is Verdict.CUT


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (Over(QUESTION, remaining_s=0.6), Verdict.CUT),
        (Over(QUESTION, remaining_s=4.0), Verdict.HOLD),
        (
            Over(f"{QUESTION} It is free.", heard="Shall I book it? It", remaining_s=4.0),
            Verdict.CUT,
        ),
        (Over("We are open daily.", remaining_s=0.6), Verdict.HOLD),
        (Over("क्या मैं बुक कर दूँ।", remaining_s=0.6), Verdict.CUT),
    ],
)
def test_noise_that_answers_a_question_is_an_answer(line: Over, expected: Verdict) -> None:
    assert over("haan", line) is expected
    assert over("haan", line, is_final=False) is Verdict.HOLD


def test_noise_into_the_bots_silence_is_a_turn_only_where_it_asked() -> None:
    judge = floor()
    assert judge.judge("okay", None, is_final=True) is Verdict.HOLD
    judge.said("I have booked it.", interrupted=False)
    assert judge.judge("theek hai", None, is_final=True) is Verdict.HOLD
    assert judge.judge("Hmm?", None, is_final=True) is Verdict.PASS
    judge.taken_up()
    judge.said(QUESTION, interrupted=False)
    judge.said("Take your time.", interrupted=False)
    assert judge.judge("haan", None, is_final=True) is Verdict.PASS
    judge.taken_up()
    assert judge.judge("haan", None, is_final=True) is Verdict.HOLD
    assert judge.judge("Thank you", None, is_final=True) is Verdict.PASS


def test_first_words_of_a_call_on_which_the_bot_said_nothing_are_a_turn() -> None:
    judge = Floor(Manners(), 3)
    assert judge.judge("haan ji", None, is_final=True) is Verdict.PASS


def test_whoever_has_the_floor_keeps_it_until_they_are_answered() -> None:
    judge = floor()
    assert judge.judge("I want to", STATEMENT, is_final=False) is Verdict.CUT
    assert judge.judge("okay", STATEMENT, is_final=True) is Verdict.PASS
    assert judge.judge("hmm", None, is_final=True) is Verdict.PASS
    judge.taken_up()
    assert judge.judge("hmm", None, is_final=True) is Verdict.HOLD


def test_words_that_became_nothing_give_no_floor() -> None:
    judge = floor()
    assert judge.judge("I want to", STATEMENT, is_final=False) is Verdict.CUT
    judge.voice_began()
    assert judge.judge("okay", STATEMENT, is_final=True) is Verdict.HOLD
    assert judge.judge("book it", None, is_final=True) is Verdict.PASS
    judge.voice_began()
    assert judge.judge("okay", None, is_final=True) is Verdict.PASS


OPENING = Over(
    "Good morning, this is Nova Dental. How can I help you?", remaining_s=3.0, is_opening=True
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, Verdict.HOLD) for text in ("Hello?", "haan ji", "hello hello hello", "Hi, yes")),
        *((text, Verdict.HOLD) for text in ("हेलो", "जी बोलिए", "kaun bol raha hai", "now")),
        ("wrong number", Verdict.CUT),
        ("Hello, stop", Verdict.CUT),
        ("haan galat number", Verdict.CUT),
        ("Hello I want to cancel my visit", Verdict.CUT),
        ("मुझे अपना बिल चाहिए", Verdict.CUT),
    ],
)
def test_opening_is_cut_by_sentences_and_what_matters_alone(text: str, expected: Verdict) -> None:
    assert over(text, OPENING, min_words=1) is expected


def test_opening_that_has_asked_is_answered() -> None:
    asked = Over(OPENING.text, remaining_s=0.5, is_opening=True)
    assert over("booking", asked) is Verdict.CUT
    assert over("booking", asked, is_final=False) is Verdict.HOLD


@pytest.mark.parametrize("words", ["haan ji", "Yes.", "Speaking", "haan, bol rahi hoon", "जी"])
def test_opening_that_asks_in_the_end_is_answered_by_a_greeting(words: str) -> None:
    asked = Over("Good morning. Am I speaking with Asha?", remaining_s=0.5, is_opening=True)
    assert over(words, asked) is Verdict.KEEP
    assert over(words, asked, is_final=False) is Verdict.HOLD
    assert over(words, replace(asked, is_late=True)) is Verdict.HOLD
    assert over(words, replace(asked, remaining_s=3.0)) is Verdict.HOLD
    assert over(words, replace(asked, text="Good morning.")) is Verdict.HOLD
    assert over("Hello? Hello?", asked) is Verdict.HOLD


def test_line_that_nobody_cuts_off_is_answered_once_it_was_heard() -> None:
    asked = Over(QUESTION, remaining_s=0.6, is_guarded=True)
    assert over("haan", asked) is Verdict.KEEP
    assert over("haan", asked, is_final=False) is Verdict.HOLD
    assert over("haan", replace(asked, remaining_s=4.0)) is Verdict.HOLD
    off = {"enabled": False}
    assert over("hmm", replace(STATEMENT, is_guarded=True), backchannel=off) is Verdict.KEEP


def test_opening_of_a_bot_that_nobody_interrupts_is_heard_to_its_end() -> None:
    guarded = Over(OPENING.text, remaining_s=3.0, is_opening=True, is_guarded=True)
    assert over("I want to cancel my visit", guarded) is Verdict.KEEP
    assert over("Hello?", guarded) is Verdict.HOLD
    assert over("wrong number", guarded) is Verdict.CUT


def test_opening_may_be_a_line_like_any_other() -> None:
    assert over("Hello?", OPENING, opening={"enabled": False}) is Verdict.CUT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bye!", Verdict.HOLD),
        ("Thank you", Verdict.HOLD),
        ("bye bye", Verdict.HOLD),
        ("Thank you, goodbye.", Verdict.HOLD),
        ("Okay thank you sir, have a nice day, bye", Verdict.HOLD),
        ("Goodbye, but when do you open", Verdict.CUT),
        ("Wait", Verdict.CUT),
        ("रुकिए", Verdict.CUT),
        ("One more question please", Verdict.CUT),
    ],
)
def test_courtesies_do_not_hold_up_a_goodbye(text: str, expected: Verdict) -> None:
    goodbye = Over("Thank you for calling. Goodbye.", remaining_s=2.0, is_goodbye=True)
    assert over(text, goodbye, min_words=1) is expected


def test_bot_that_is_cut_off_in_a_row_gets_to_say_a_line() -> None:
    judge = floor()
    guarded = Over(STATEMENT.text, remaining_s=4.0, is_guarded=True)
    for _ in range(3):
        assert not judge.is_looping
        judge.said("We are", interrupted=True)
    assert judge.is_looping
    assert judge.judge("But I want to know", guarded, is_final=True) is Verdict.KEEP
    assert judge.judge("okay", guarded, is_final=True) is Verdict.HOLD
    assert judge.judge("wrong number", guarded, is_final=True) is Verdict.CUT
    judge.said(STATEMENT.text, interrupted=False)
    assert not judge.is_looping


def test_line_that_was_finished_ends_the_row() -> None:
    judge = floor(loop={"after": 2})
    judge.said("We", interrupted=True)
    judge.said("We are open daily.", interrupted=False)
    judge.said("We", interrupted=True)
    assert not judge.is_looping
    judge.said("We", interrupted=True)
    assert judge.is_looping
    judge.said("Well", interrupted=True)
    assert not judge.is_looping


def test_loops_may_go_on_for_ever() -> None:
    judge = floor(loop={"enabled": False})
    for _ in range(20):
        judge.said("We are", interrupted=True)
    assert not judge.is_looping


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Shall I? It is free.", True),
        ("Please confirm your name.", True),
        ("अपना नाम बताइए।", True),
        ("Aap kab aayenge", True),
        ("It is booked.", False),
        ("", False),
    ],
)
def test_lines_that_ask(line: str, expected: bool) -> None:
    assert asks(line) is expected
