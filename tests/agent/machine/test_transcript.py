"""What was said so far."""

from __future__ import annotations

from livekit.agents import stt

from agent.machine.transcript import Transcript
from tests.fakes.engines import event

Kind = stt.SpeechEventType


def test_finals_are_kept_and_guesses_replaced() -> None:
    heard = Transcript()
    assert heard.take(event(Kind.INTERIM_TRANSCRIPT, "Hell"))
    assert heard.take(event(Kind.PREFLIGHT_TRANSCRIPT, "Hello"))
    assert (heard.text, heard.is_settled) == ("Hello", False)
    assert heard.take(event(Kind.FINAL_TRANSCRIPT, "Hello."))
    assert heard.take(event(Kind.INTERIM_TRANSCRIPT, "Who"))
    assert (heard.text, heard.is_settled) == ("Hello. Who", False)
    assert heard.clear() == "Hello. Who"
    assert (heard.text, heard.is_settled) == ("", True)


def test_what_is_no_words_is_not_taken() -> None:
    heard = Transcript()
    assert not heard.take(stt.SpeechEvent(Kind.START_OF_SPEECH))
    assert not heard.take(event(Kind.FINAL_TRANSCRIPT, "  "))
    assert not heard.take(stt.SpeechEvent(Kind.FINAL_TRANSCRIPT))
