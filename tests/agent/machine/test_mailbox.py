"""When a mailbox is spoken to, and who proves a person after all."""

from __future__ import annotations

import pytest

from agent.machine.beep import Beep
from agent.machine.mailbox import Cue, Mailbox, is_somebody
from agent.machine.voice import Voice, Window
from contracts.machine import MachineDetection

CONFIG = MachineDetection(beep_wait_s=10, message_pause_s=3)
STEP_S = 0.05


class Box:
    def __init__(self) -> None:
        self.voice = Voice()
        for step in range(1, 41):
            self.voice.window(Window(step * STEP_S, True))
        self.now_s = 2.0
        self.mailbox = Mailbox(CONFIG, self.now_s, self.voice)

    def hear(self, seconds: float, *, voice: bool = False, beep: Beep | None = None) -> Cue | None:
        until_s = self.now_s + seconds
        while self.now_s < until_s - 0.001:
            self.now_s = round(self.now_s + STEP_S, 3)
            cue = self.mailbox.window(Window(self.now_s, voice, beep=beep))
            beep = None
            if cue is not None:
                return cue
        return None


def test_message_follows_the_beep() -> None:
    box = Box()
    assert box.hear(0.5) is None
    assert box.hear(0.15, beep=Beep(2.1, 2.45, 1000.0)) is None
    assert box.hear(1) is Cue.SPEAK
    assert box.now_s == pytest.approx(2.7, abs=1.1 * STEP_S)
    assert box.mailbox.after == "beep"


def test_beep_amid_the_greeting_is_none() -> None:
    box = Box()
    box.hear(0.3, beep=Beep(1.0, 1.2, 1000.0))
    assert box.hear(2, voice=True) is None
    assert box.hear(2.5) is None


def test_silence_stands_for_a_beep() -> None:
    box = Box()
    assert box.hear(5) is Cue.SPEAK
    assert box.now_s == pytest.approx(5.0, abs=1.1 * STEP_S)
    assert box.mailbox.after == "pause"


def test_greeting_is_never_talked_into() -> None:
    assert Box().hear(60, voice=True) is Cue.GIVE_UP


def test_mailbox_that_has_just_fallen_silent_is_spoken_to_at_the_latest() -> None:
    box = Box()
    assert box.hear(8.5, voice=True) is None
    assert box.hear(5) is Cue.SPEAK
    assert box.now_s == pytest.approx(12.0, abs=1.1 * STEP_S)


@pytest.mark.parametrize(
    ("text", "while_waiting", "while_recording"),
    [
        ("Hello? Are you there?", True, True),
        ("Who is this?", True, True),
        ("Yes, hello.", True, True),
        ("I am standing in the kitchen", False, True),
        ("and have a lovely day", False, True),
        ("you", False, False),
        ("Press one for more options.", False, False),
        ("Please leave a message after the tone", False, False),
        ("", False, False),
    ],
)
def test_words_that_make_no_sense_for_a_machine_are_a_person_s(
    text: str, while_waiting: bool, while_recording: bool
) -> None:
    assert is_somebody(text, CONFIG, is_recording=False) is while_waiting
    assert is_somebody(text, CONFIG, is_recording=True) is while_recording
