"""In which words a bot says figures."""

from __future__ import annotations

import pytest

from agent.speech.saying.english import AMERICAN, BRITISH, INDIAN
from agent.speech.saying.hindi import DEVANAGARI, LATIN
from agent.speech.saying.language import Language
from agent.speech.saying.tongue import Tongue


@pytest.mark.parametrize(
    ("code", "text", "tongue"),
    [
        ("", "It is ", AMERICAN),
        ("en", "It is ", AMERICAN),
        ("en-US", "It is ", AMERICAN),
        ("en_IN", "It is ", INDIAN),
        ("en-GB", "It is ", BRITISH),
        ("en-IN", "Aapka balance ", INDIAN),
        ("en-IN", "आपका बकाया ", DEVANAGARI),
        ("hi", "", DEVANAGARI),
        ("hi-IN", "आपका EMI ", DEVANAGARI),
        ("hi", "Aapka balance ", LATIN),
        ("hi", "Your balance is ", INDIAN),
        # "ka" is Hindi's, whatever else is there.
        ("hi", "the loan ka balance ", LATIN),
        ("ta", "It is ", None),
    ],
)
def test_language_is_the_voices_and_script_what_is_written(
    code: str, text: str, tongue: Tongue | None
) -> None:
    language = Language(code)
    language.hear(text)
    assert language.tongue() is tongue
