"""What words give away about who took a call."""

from __future__ import annotations

import pytest

from agent.machine.phrase import (
    Clue,
    is_invitation,
    is_self_introduction,
    is_unfinished,
    read,
    words_of,
)

SAID = {
    Clue.VOICEMAIL: (
        "Please leave your message after the beep.",
        "Leave your name and number and I'll get back to you as soon as I can.",
        "Your call has been forwarded to an automatic voice message system.",
        "At the tone, please record your message.",
        "Record your message, and press # when you are done.",
        "Kripya apna sandesh chhodein.",
        "Beep ke baad apna message record karein.",
        "कृपया बीप के बाद अपना संदेश छोड़ें।",
    ),
    Clue.AWAY: (
        "Hi, you've reached Tom. I can't come to the phone right now.",
        "I'm unable to take your call.",
        "Sorry I missed your call.",
        "I'll call you back as soon as I can.",
        "Main vapas call karunga.",
    ),
    Clue.UNAVAILABLE: (
        "The number you are calling is switched off.",
        "The subscriber is out of the coverage area.",
        "The number you have dialed is not in service.",
        "The person you are calling is not answering.",
        "The mailbox is full and cannot accept any messages.",
        "This person has a voicemail that has not been set up yet.",
        "Aap jis number par call kar rahe hain, woh abhi switch off hai.",
        "Yeh number network kshetra se bahar hai.",
        "आप जिस नंबर पर कॉल कर रहे हैं वह अभी स्विच ऑफ है",
        "जिस ग्राहक को आपने फोन किया है वह उत्तर नहीं दे रहे हैं",
    ),
    Clue.SCREENING: (
        "Hi, if you record your name and reason for calling, I'll see if this person is available.",
        "Please state your name and why you are calling.",
        "The person you're calling is using a screening service from Google.",
        "Thanks, please stay on the line.",
    ),
    Clue.MENU: (
        "For sales, press one.",
        "To continue in English, press 1.",
        "Press # to go back.",
        "Press #1 for sales.",
        "To repeat this, press the * key.",
        "For more options press hash, or hit pound.",
        "Enter your account number, followed by the # key.",
        "हिंदी के लिए # दबाएं",
        "Dobara sunne ke liye star dabaiye.",
        "Hindi ke liye ek dabaiye.",
        "हिंदी के लिए दो दबाएं",
    ),
    Clue.ABSENT: (
        "The person you are trying to reach is not available.",
        "Woh abhi uplabdh nahi hai.",
        "वह अभी उपलब्ध नहीं हैं",
    ),
    Clue.HUMAN: (
        "Hello?",
        "Yes, speaking.",
        "Who is this?",
        "He's out, can I take a message?",
        "Would you like to leave a message?",
        "Miller and Sons, how can I help you?",
        "Haan ji, boliye.",
        "हां जी, बोलिए",
        "Kaun bol raha hai?",
        "Yes, my phone was switched off, sorry, who's this?",
        "Sorry, the phone was busy, hello?",
        "Northwind Energy, Karen speaking, sorry for the wait.",
        "Northwind Energy, you're through to Karen, may I have your account number please?",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("clue", "text"), [(clue, t) for clue, ts in SAID.items() for t in ts])
def test_words_give_away_who_says_them(clue: Clue, text: str) -> None:
    assert read(text, {}) is clue


@pytest.mark.parametrize("text", ["", "?!", "We had fish for dinner and it was very good indeed."])
def test_words_that_anybody_may_say_give_away_nothing(text: str) -> None:
    assert read(text, {}) is None


def test_phrase_of_the_bot_comes_before_all() -> None:
    own = {"voicemail": ["du bist verbunden mit"], "human": ["after the tone"]}
    assert read("Hallo, du bist verbunden mit Max.", own) is Clue.VOICEMAIL  # type: ignore[arg-type]
    assert read("It comes after the tone.", own) is Clue.HUMAN  # type: ignore[arg-type]
    assert read("We talk after the tones.", own) is None  # type: ignore[arg-type]


def test_script_is_kept_whole() -> None:
    assert words_of("I can't; उपलब्ध नहीं!  ") == "i cant उपलब्ध नहीं"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Northwind Energy for gas and light. Which department would you like?", True),
        ("Northwind Energy, wie kann ich Ihnen helfen?", True),
        ("Thank you for calling Northwind Energy, this is Karen.", True),
        ("Thank you for calling Northwind Energy, you're speaking with Karen Miller", True),
        ("Northwind Energy se main Priya bol rahi hoon.", True),
        ("We are closed. This is a recording.", False),
        ("This is Karen from Northwind Energy, and we are closed today.", False),
        ("Ihr Anruf kann leider nicht entgegengenommen werden.", False),
        ("", False),
    ],
)
def test_person_gives_the_floor(text: str, expected: bool) -> None:
    assert is_invitation(text) is expected


def test_self_introduction_lets_expect_more() -> None:
    assert is_unfinished("Hello, this is")
    assert is_unfinished("Hey, it's Mike.")
    assert not is_unfinished("Hello?")
    assert is_self_introduction("You've reached the Johnson family")
    assert not is_self_introduction("Hello, Johnson residence")
