"""What callers say: sentences said in one go, and sentences with a pause in their middle.

Real speech, since voice and turn detectors are made for it: the offline voice, cached. A pause is
cut in at a word's boundary: the first half is spoken with the intonation of something unfinished
(it ends in a comma), then nothing is said for 0.3 to 1.5 s, then the second half comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bridges.audio.waveform import Span, loud_spans
from voicefleet.caller_voice import speak

RATE_HZ = 8000
LOUD_RMS = 200.0
"""What the stand-in recogniser takes for sound: its ends of speech and ours are the same."""

PLAIN = (
    "How much is a ticket for the evening show?",
    "I would like to change the date of my booking.",
    "Can you tell me when the office opens tomorrow?",
    "Please send the invoice to my home address.",
    "Is there a direct train to the airport on Sunday?",
    "My order has not arrived yet.",
    "What do I need to bring to the appointment?",
    "I want to speak about my last bill.",
)
PROTESTS = (
    "Sorry, I have another question about that.",
    "Wait, that is not what I asked for.",
    "No, I meant the other booking.",
    "Hold on, please say that again.",
)
HESITANT = (
    ("I would like to book a table for,", 0.3, "four people on Friday."),
    ("My customer number is, I think,", 0.5, "one seven three four nine."),
    ("Could you please tell me whether,", 0.7, "the shop is open on Sundays?"),
    ("I need to move my appointment from Tuesday to,", 0.9, "the following Thursday."),
    ("The address is number twelve,", 1.2, "Market Street."),
    ("I am calling because my,", 1.5, "last invoice was wrong."),
    ("Can I pay with,", 0.4, "a credit card?"),
    ("There were two of us and,", 1.0, "we both had the same problem."),
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """Something to say.

    Attributes:
        pause_s: the longest silence inside it; 0.0 where it is said in one go.
        spoken: from its first sound to its last, in seconds from the start of `pcm`.
        resumes_s: where speech goes on after the pause.
    """

    text: str
    pcm: bytes
    pause_s: float
    spoken: Span
    resumes_s: float


def sentence(text: str, cache: Path) -> Sentence:
    """Return a sentence said in one go."""
    pcm = speak(text, RATE_HZ, cache_path=cache)
    spans = loud_spans(pcm, rate_hz=RATE_HZ, loud_rms=LOUD_RMS)
    spoken = Span(spans[0].start_s, spans[-1].end_s)
    return Sentence(text, pcm, 0.0, spoken, spoken.start_s)


def hesitation(before: str, pause_s: float, after: str, cache: Path) -> Sentence:
    """Return a sentence whose speaker stops in the middle of it."""
    first, second = sentence(before, cache), sentence(after, cache)
    # From sound to sound: what silence the voice itself left around the halves is cut.
    head = first.pcm[: _bytes(first.spoken.end_s)]
    tail = second.pcm[_bytes(second.spoken.start_s) :]
    gap = bytes(_bytes(pause_s))
    resumes_s = (len(head) + len(gap)) / 2 / RATE_HZ
    ends_s = resumes_s + second.spoken.end_s - second.spoken.start_s
    return Sentence(
        f"{before} … {after}",
        head + gap + tail,
        pause_s,
        Span(first.spoken.start_s, ends_s),
        resumes_s,
    )


@dataclass(frozen=True, slots=True)
class Phrasebook:
    """Every sentence there is, spoken."""

    plain: tuple[Sentence, ...]
    protests: tuple[Sentence, ...]
    hesitant: tuple[Sentence, ...]

    @classmethod
    def load(cls, cache: Path) -> Phrasebook:
        """Speak them all, or take them from `cache`."""
        return cls(
            tuple(sentence(text, cache) for text in PLAIN),
            tuple(sentence(text, cache) for text in PROTESTS),
            tuple(hesitation(*parts, cache) for parts in HESITANT),
        )


def _bytes(seconds: float) -> int:
    return round(seconds * RATE_HZ) * 2
