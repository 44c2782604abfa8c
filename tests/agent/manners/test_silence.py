"""What silence leads to, as arithmetic."""

from __future__ import annotations

from agent.manners.silence import GiveUp, Prompt, SilencePolicy
from contracts.bot import BotConfig
from contracts.manners import ReEngagement
from contracts.outcome import Reason


def policy(**changes: object) -> SilencePolicy:
    config = {
        "re_engagement": ReEngagement(messages=["Hello?", "Anyone?"], after_seconds=5),
        "no_response_seconds": 7,
        "dead_air_seconds": 9,
        **changes,
    }
    return SilencePolicy(BotConfig.model_validate(config))


def test_silence_prompts_in_turn_and_then_gives_up_on_a_silent_caller() -> None:
    silence = policy()
    silence.quiet(100.0)
    assert silence.deadline() == 105.0
    assert silence.expire(104.9) is None
    assert silence.expire(105.0) == Prompt("Hello?", 1)
    assert silence.deadline() is None
    silence.quiet(110.0)
    assert silence.expire(115.0) == Prompt("Anyone?", 2)
    silence.quiet(120.0)
    assert silence.deadline() == 127.0
    assert silence.expire(127.0) == GiveUp(Reason.NO_RESPONSE)


def test_silence_after_a_conversation_is_dead_air() -> None:
    silence = policy(re_engagement=None)
    silence.heard_caller()
    silence.quiet(0.0)
    assert silence.expire(8.9) is None
    assert silence.expire(9.0) == GiveUp(Reason.DEAD_AIR)


def test_words_start_the_prompts_anew() -> None:
    silence = policy()
    silence.quiet(0.0)
    assert silence.expire(5.0) == Prompt("Hello?", 1)
    silence.heard_caller()
    silence.quiet(10.0)
    assert silence.expire(15.0) == Prompt("Hello?", 1)


def test_silence_does_not_count_while_somebody_speaks() -> None:
    silence = policy()
    silence.quiet(0.0)
    silence.quiet(3.0)
    assert silence.deadline() == 5.0
    silence.busy()
    assert silence.deadline() is None
    assert silence.expire(99.0) is None
    silence.quiet(100.0)
    assert silence.deadline() == 105.0


def test_silence_may_be_stretched() -> None:
    config = BotConfig.model_validate(
        {"re_engagement": {"messages": ["Hello?"], "after_seconds": 5}, "dead_air_seconds": 9}
    )
    silence = SilencePolicy(config, 4.0)
    silence.heard_caller()
    silence.quiet(100.0)
    assert silence.deadline() == 120.0
    assert silence.expire(120.0) == Prompt("Hello?", 1)
    silence.quiet(130.0)
    assert silence.deadline() == 166.0
    assert silence.expire(166.0) == GiveUp(Reason.DEAD_AIR)


def test_bot_asks_in_its_own_language_where_nobody_wrote_what() -> None:
    for language, prompt in (("hi-IN", "क्या आप लाइन पर हैं?"), ("ta", "Are you still there?")):
        config = BotConfig.model_validate({"re_engagement": {}, "tts": {"language": language}})
        silence = SilencePolicy(config)
        silence.quiet(0.0)
        assert silence.expire(8.0) == Prompt(prompt, 1)
