"""Who took a call: by timing and words, and on a set of spoken greetings."""

from __future__ import annotations

from statistics import quantiles

import pytest

from agent.machine.beep import Beep
from agent.machine.greeting import Greeting, Verdict
from agent.machine.voice import Window
from contracts.machine import MachineDetection
from tests.fakes.greetings import judge, listed

STEP_S = 0.05


class Line:
    """A line on which the test decides what is heard."""

    def __init__(self, greeting: Greeting) -> None:
        self.greeting = greeting
        self.now_s = 0.0

    def hear(self, seconds: float, *, voice: bool = False, tone: bool = False) -> Verdict | None:
        """Let time pass; return the first verdict."""
        until_s = self.now_s + seconds
        while self.now_s < until_s - 0.001:
            self.now_s = round(self.now_s + STEP_S, 3)
            found = self.greeting.window(Window(self.now_s, voice, tone))
            if found is not None:
                return found
        return None

    def beep(self, start_s: float, end_s: float, hz: float = 1000.0) -> Verdict | None:
        self.now_s = round(self.now_s + STEP_S, 3)
        beep = Beep(start_s, end_s, hz)
        return self.greeting.window(Window(self.now_s, False, beep=beep))


def line(**config: object) -> Line:
    return Line(Greeting(MachineDetection.model_validate(config)))


def test_nobody_who_says_anything_is_spoken_to() -> None:
    verdict = line(silence_s=1.5).hear(5)
    assert verdict is not None
    assert (verdict.by, verdict.reason, verdict.at_s) == ("human", "silence", 1.5)


@pytest.mark.parametrize(
    ("voice_s", "words", "waits_s"),
    [
        (0.4, "Hello?", 0.6),
        (0.4, "", 0.6),
        (0.8, "This is Anna", 0.8),
        (1.2, "You've reached Anna", 0.8),
        (2.5, "Miller and Sons, how can I help you?", 0.8),
        (2.5, "", 1.3),
    ],
)
def test_person_is_answered_after_a_short_silence(
    voice_s: float, words: str, waits_s: float
) -> None:
    call = line()
    assert call.hear(voice_s, voice=True) is None
    call.greeting.words(words)
    verdict = call.hear(5)
    assert verdict is not None
    assert verdict.by == "human"
    assert verdict.waited_s == pytest.approx(waits_s, abs=1.1 * STEP_S)


def test_nobody_is_judged_while_they_speak() -> None:
    call = line()
    call.greeting.words("Please leave a message after the tone")
    assert call.hear(14, voice=True) is None


@pytest.mark.parametrize(
    ("words", "by", "reason"),
    [
        ("Hello?", "human", "no_pause"),
        ("", "human", "no_pause"),
        ("The number you are calling is switched off", "unavailable", "phrase"),
        ("Please leave a message after the tone", "voicemail", "phrase"),
    ],
)
def test_line_on_which_voices_never_pause_is_judged_all_the_same(
    words: str, by: str, reason: str
) -> None:
    call = line()
    call.hear(1, voice=True)
    call.greeting.words(words)
    verdict = call.hear(60, voice=True)
    assert verdict is not None
    assert (verdict.by, verdict.reason) == (by, reason)
    assert verdict.at_s < 16


@pytest.mark.parametrize(
    ("words", "by", "waits_s"),
    [
        ("Please leave a message after the tone", "voicemail", 0.4),
        ("The number you are calling is switched off", "unavailable", 0.8),
        ("The person you are calling is not available", "unavailable", 3.0),
        ("State your name and why you are calling", "screening", 0.8),
        ("For sales press one", "menu", 0.8),
    ],
)
def test_machine_is_known_by_its_words(words: str, by: str, waits_s: float) -> None:
    call = line()
    call.hear(2, voice=True)
    call.greeting.words(words)
    verdict = call.hear(5)
    assert verdict is not None
    assert (verdict.by, verdict.reason) == (by, "phrase")
    assert verdict.waited_s == pytest.approx(waits_s, abs=1.1 * STEP_S)


def test_long_greeting_in_an_unknown_tongue_is_a_machine_s() -> None:
    call = line()
    call.hear(7, voice=True)
    call.greeting.words("Ihr Anruf kann im Moment leider nicht entgegengenommen werden")
    verdict = call.hear(3)
    assert verdict is not None
    assert (verdict.by, verdict.reason) == ("voicemail", "long_greeting")


@pytest.mark.parametrize("rest", ["which department would you like?", "this is Karen"])
def test_long_greeting_that_gives_the_floor_is_a_person_s(rest: str) -> None:
    call = line()
    call.hear(8, voice=True)
    call.greeting.words(f"Good morning from Northwind Energy, your supplier of light, {rest}")
    verdict = call.hear(3)
    assert verdict is not None
    assert (verdict.by, verdict.reason) == ("human", "greeting")
    assert verdict.waited_s == pytest.approx(0.8, abs=1.1 * STEP_S)


def test_beep_after_speech_is_a_mailbox_s() -> None:
    call = line()
    call.hear(2, voice=True)
    call.greeting.words("Ihr Anruf bitte")
    assert call.hear(0.3) is None
    assert call.hear(0.5, tone=True) is None
    assert call.hear(0.1) is None
    assert call.beep(2.3, 2.8) is None
    verdict = call.hear(1)
    assert verdict is not None
    assert (verdict.by, verdict.reason) == ("voicemail", "beep")


def test_ringing_after_a_person_s_words_is_no_beep() -> None:
    call = line()
    call.hear(1.5, voice=True)
    call.greeting.words("One moment please, I put you through")
    call.hear(0.3)
    call.hear(0.4, tone=True)
    call.hear(0.1)
    call.beep(1.8, 2.2, hz=425.0)
    verdict = call.hear(1)
    assert verdict is not None
    assert verdict.by == "human"


def test_beep_settles_that_somebody_absent_has_a_mailbox() -> None:
    call = line()
    call.hear(2, voice=True)
    call.greeting.words("The person you are calling is not available")
    assert call.hear(0.6) is None
    verdict = call.beep(2.2, 2.4)
    assert verdict is not None
    assert verdict.by == "voicemail"


def test_beep_of_a_recorded_line_says_nothing() -> None:
    call = line()
    call.hear(0.4, voice=True)
    call.greeting.words("Hello?")
    assert call.beep(0.5, 0.7) is None
    verdict = call.hear(2)
    assert verdict is not None
    assert verdict.by == "human"


def test_words_alone_are_speech_where_the_line_is_too_faint_for_the_detector() -> None:
    call = line()
    call.hear(0.5)
    call.greeting.words("Hello?")
    verdict = call.hear(2)
    assert verdict is not None
    assert (verdict.by, verdict.reason) == ("human", "greeting")


def test_spoken_set_is_told_apart_and_people_are_answered_within_a_second() -> None:
    # Every sixth one, for time's sake; `python -m bench.answering` takes all.
    judged = [(by, text, judge(text)) for by, text in listed("spoken")[::6]]
    wrong = [(by, taken.by, text) for by, text, taken in judged if taken.by != by]
    # The recogniser does not write the same of one clip in every process.
    assert len(wrong) <= 1, wrong
    assert [taken for by, taken, _ in wrong if by == "human" and taken != "human"] == []
    waits_s = [
        -taken.rest_s
        for by, _, taken in judged
        if by == taken.by == "human" and taken.verdict.reason == "greeting"
    ]
    assert quantiles(waits_s, n=20)[-1] <= 1.0
    with_beep = [(text, taken.beeps) for _, text, taken in judged if "Hz" in text]
    assert [text for text, beeps in with_beep if len(beeps) != 1] == []
    without = [taken.beeps for _, text, taken in judged if "Hz" not in text]
    assert not any(without)
