"""A recogniser of several, in virtual time."""

from __future__ import annotations

import asyncio

import pytest
from livekit.agents import APIConnectOptions, APIError, APIStatusError

from agent.failure import EnginesLost
from tests.agent.fallback.deaf_line import RESET, Recogniser, calling
from tests.fakes.virtual_time import virtual_time


@virtual_time
async def test_first_recogniser_hears_all_while_it_works() -> None:
    second = Recogniser()
    async with calling(Recogniser(), second) as line:
        for _ in range(3):
            await line.speak(1.0)
            await line.be_quiet(5.0)
        assert line.texts == ["1.0 s"] * 3
        assert line.told == []
        assert second.streams == []


@virtual_time
async def test_deaf_recogniser_is_replaced_and_the_turn_heard_without_being_repeated() -> None:
    async with calling(Recogniser(is_deaf=True), Recogniser()) as line:
        await line.be_quiet(2.0)
        await line.speak(1.0)
        spoken_at = line.loop.time()
        await line.be_quiet(3.0)
        [(text, at)] = line.heard
        assert text == "1.0 s"
        assert at - spoken_at == pytest.approx(0.12 + 1.5, abs=0.15)
        [told] = line.told
        assert (told.left, told.taken) == ("a", "b")
        assert told.why == "Recogniser gave no words"
        assert told.after_ms == pytest.approx(1500, abs=120)


@pytest.mark.parametrize("quiet_s", [2.0, 12.0])
def test_recogniser_that_falls_silent_after_a_good_turn_is_replaced_as_soon(quiet_s: float) -> None:
    @virtual_time
    async def run() -> None:
        first = Recogniser()
        async with calling(first, Recogniser()) as line:
            await line.speak(1.0)
            await line.be_quiet(quiet_s)
            first.is_deaf = True
            await line.speak(1.0)
            spoken_at = line.loop.time()
            await line.be_quiet(3.0)
            assert line.texts == ["1.0 s"] * 2
            assert line.heard[-1][1] - spoken_at == pytest.approx(0.12 + 1.5, abs=0.15)
            assert [(told.left, told.taken) for told in line.told] == [("a", "b")]

    run()


@virtual_time
async def test_deaf_recogniser_with_interims_is_replaced_while_the_caller_speaks() -> None:
    async with calling(Recogniser(is_deaf=True, interims=True), Recogniser()) as line:
        await line.speak(4.0)
        assert [told.taken for told in line.told] == ["b"]
        await line.be_quiet(0.5)
        assert line.texts == ["4.0 s"]


@virtual_time
async def test_recogniser_that_breaks_mid_turn_loses_no_word() -> None:
    async with calling(Recogniser(breaks=True), Recogniser()) as line:
        await line.speak(2.0)
        await line.be_quiet(0.5)
        assert line.texts == ["2.0 s"]


@pytest.mark.parametrize("status", [401, 429, 500])
def test_recogniser_that_refuses_is_replaced_at_once(status: int) -> None:
    @virtual_time
    async def run() -> None:
        refusing = Recogniser(refuses=APIStatusError("no", status_code=status))
        async with calling(refusing, Recogniser()) as line:
            await line.speak(1.0)
            await line.be_quiet(0.5)
            assert line.texts == ["1.0 s"]
            assert line.told[0].why == f"Recogniser answered {status}"

    run()


@virtual_time
async def test_lone_recogniser_is_connected_anew_with_the_turn() -> None:
    lone = Recogniser(breaks=True)
    async with calling(lone) as line:
        speaking = asyncio.create_task(line.speak(1.0))
        await asyncio.sleep(0.1)
        lone.breaks = False
        await speaking
        await line.be_quiet(0.5)
        assert line.texts == ["1.0 s"]
        assert len(lone.streams) == 2


@virtual_time
async def test_noise_that_nobody_finds_words_in_is_nobodys_failure() -> None:
    recognisers = Recogniser(is_deaf=True), Recogniser(is_deaf=True)
    async with calling(*recognisers) as line:
        await line.speak(1.0)
        await line.be_quiet(5.0)
        assert not line.hearing.done()
        assert line.line_up.members[0].failures == 0
        count = sum(len(each.streams) for each in recognisers)
        await line.speak(1.0)
        await line.be_quiet(2.0)
        assert sum(len(each.streams) for each in recognisers) <= count + 1


@virtual_time
async def test_lone_recogniser_that_answers_nothing_at_all_is_given_up_in_a_few_seconds() -> None:
    lone = Recogniser(acknowledges=True)
    async with calling(lone) as line:
        await line.speak(1.0)
        await line.be_quiet(3.0)
        assert line.texts == ["1.0 s"]
        lone.is_deaf = lone.is_mute = True
        await line.speak(1.0)
        spoken_at = line.loop.time()
        quiet = asyncio.create_task(line.be_quiet(20.0))
        with pytest.raises(EnginesLost, match="Recogniser gave no answer at all"):
            await line.hearing
        quiet.cancel()
        assert line.loop.time() - spoken_at == pytest.approx(1.6 + 0.3 + 3.0, abs=0.3)
        assert len(lone.streams) == 2


@virtual_time
async def test_noise_never_ends_a_call_whose_recogniser_answers() -> None:
    lone = Recogniser(acknowledges=True, is_deaf=True)
    async with calling(lone) as line:
        for _ in range(10):
            await line.speak(1.5)
            await line.be_quiet(4.0)
        assert not line.hearing.done()
        assert line.line_up.members[0].failures == 0


@virtual_time
async def test_recogniser_that_is_mute_does_not_clear_the_one_before_it() -> None:
    recognisers = [Recogniser(acknowledges=True, is_deaf=True) for _ in range(2)]
    for each in recognisers:
        each.is_mute = True
    async with calling(*recognisers) as line:
        await line.speak(1.0)
        spoken_at = line.loop.time()
        quiet = asyncio.create_task(line.be_quiet(12.0))
        with pytest.raises(EnginesLost):
            await line.hearing
        quiet.cancel()
        assert line.loop.time() - spoken_at == pytest.approx(8.2, abs=0.5)
        assert [len(each.streams) for each in recognisers] == [2, 2]


@virtual_time
async def test_recogniser_that_takes_coughs_and_one_voice_for_noise_has_heard_it() -> None:
    second = Recogniser()
    async with calling(Recogniser(finds_nothing=True), second) as line:
        for speech_s in (0.5, 1.2, 0.5, 0.5):
            await line.speak(speech_s)
            await line.be_quiet(3.0)
        assert line.texts == [""] * 4
        assert (line.told, second.streams) == ([], [])


@virtual_time
async def test_second_voice_that_is_taken_for_noise_is_heard_by_the_next_too() -> None:
    async with calling(Recogniser(finds_nothing=True), Recogniser()) as line:
        for _ in range(2):
            await line.speak(1.2)
            await line.be_quiet(3.0)
        assert line.texts == ["", "1.2 s"]
        assert [(told.left, told.taken) for told in line.told] == [("a", "b")]


@virtual_time
async def test_lone_recogniser_that_finds_no_words_is_asked_anew_and_never_lost_for_it() -> None:
    lone = Recogniser(finds_nothing=True)
    async with calling(lone) as line:
        for count in range(1, 3):
            await line.speak(1.2)
            await line.be_quiet(3.0)
            assert len(lone.streams) == count
        for _ in range(10):
            await line.speak(1.2)
            await line.be_quiet(3.0)
        assert len(lone.streams) <= 4
        assert not line.hearing.done()
        assert line.line_up.members[0].failures == 0


@virtual_time
async def test_noise_that_the_second_finds_no_words_in_either_is_not_the_firsts_failure() -> None:
    async with calling(Recogniser(is_deaf=True), Recogniser(finds_nothing=True)) as line:
        await line.speak(1.0)
        await line.be_quiet(5.0)
        assert line.line_up.members[0].failures == 0


@virtual_time
async def test_failures_between_words_do_not_add_up() -> None:
    lone = Recogniser()
    async with calling(lone) as line:
        for number in range(1, 6):
            lone.breaks = True
            speaking = asyncio.create_task(line.speak(1.0))
            await asyncio.sleep(0.1)
            lone.breaks = False
            await speaking
            await line.be_quiet(0.5)
            assert line.texts == ["1.0 s"] * number


@virtual_time
async def test_connections_that_are_lost_now_and_then_while_nobody_speaks_do_not_add_up() -> None:
    lone = Recogniser()
    async with calling(lone) as line:
        for _ in range(6):
            await line.be_quiet(5.0)
            lone.hang_up()
        await line.be_quiet(0.5)
        await line.speak(1.0)
        await line.be_quiet(0.5)
        assert line.texts == ["1.0 s"]
        assert len(lone.streams) == 7


@virtual_time
async def test_first_recogniser_is_asked_again_once_it_has_rested_and_nobody_speaks() -> None:
    first = Recogniser(breaks=True)
    async with calling(first, Recogniser()) as line:
        await line.speak(1.0)
        first.breaks = False
        await line.be_quiet(28.0)
        talking = asyncio.create_task(line.speak(4.0))
        await talking
        assert line.line_up.current.name == "b", "not in the middle of a turn"
        await line.be_quiet(4.0)
        assert line.line_up.current.name == "a"
        await line.speak(1.0)
        await line.be_quiet(0.5)
        assert line.texts == ["1.0 s", "4.0 s", "1.0 s"]


@virtual_time
async def test_turn_that_was_over_is_flushed_at_a_recogniser_that_waits_for_that() -> None:
    flushed = Recogniser(manual_flush=True)
    async with calling(Recogniser(is_deaf=True), flushed) as line:
        assert not line.engine.capabilities.manual_flush
        await line.speak(1.0)
        await line.be_quiet(2.0)
        assert line.texts == ["1.0 s"]
        assert line.engine.capabilities.manual_flush
        await line.speak(1.0)
        line.stream.flush()
        await line.be_quiet(0.1)
        assert line.texts == ["1.0 s", "1.0 s"]


@virtual_time
async def test_all_that_fail_are_asked_twice_and_then_all_is_lost() -> None:
    failing = [Recogniser(refuses=RESET), Recogniser(refuses=RESET)]
    async with calling(*failing) as line:
        with pytest.raises(EnginesLost, match="Recogniser lost the connection"):
            await line.hearing
        assert [len(each.streams) for each in failing] == [2, 2]
        # The session asks for another stream while the call is being ended: that one just waits.
        async with line.engine.stream() as another:
            waiting = asyncio.create_task(anext(another, None))
            await asyncio.sleep(30)
            assert not waiting.done()
            waiting.cancel()


@virtual_time
async def test_end_of_the_line_is_the_end_of_the_stream() -> None:
    async with calling(Recogniser()) as line:
        await line.speak(1.0)
        await line.be_quiet(0.3)
        line.stream.end_input()
        await line.hearing
        assert line.texts == ["1.0 s"]


@virtual_time
async def test_whole_recordings_are_not_taken_and_all_are_closed() -> None:
    recognisers = Recogniser(), Recogniser()
    async with calling(*recognisers) as line:
        with pytest.raises(APIError):
            await line.engine.recognize([], conn_options=APIConnectOptions(max_retry=0))
        await line.engine.aclose()
    assert all(each.is_closed for each in recognisers)
