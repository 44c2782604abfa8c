"""One press is one event."""

from __future__ import annotations

from bridges.sip.keypad import MAX_PRESSES, SAME_PRESS_S, Keypad


def test_press_that_arrives_both_ways_counts_once_whichever_is_first() -> None:
    for first, second in (("rtp", "info"), ("info", "rtp")):
        keypad = Keypad()
        assert keypad.press("1", first, 0.0)  # type: ignore[arg-type]
        assert not keypad.press("1", second, 0.3)  # type: ignore[arg-type]
        assert keypad.press("1", first, 0.5)  # type: ignore[arg-type]
        assert not keypad.press("1", second, 0.8)  # type: ignore[arg-type]
        assert (keypad.presses, keypad.ignored) == (2, 2)


def test_presses_of_one_way_all_count() -> None:
    keypad = Keypad()
    assert [keypad.press("1", "rtp", at / 10) for at in range(5)] == [True] * 5


def test_way_may_change_between_presses() -> None:
    keypad = Keypad()
    assert keypad.press("1", "rtp", 0.0)
    assert keypad.press("2", "info", 0.1)
    assert keypad.press("2", "rtp", 0.1 + SAME_PRESS_S)


def test_flood_is_cut_off() -> None:
    keypad = Keypad()
    pressed = [keypad.press("1", "rtp", float(at)) for at in range(MAX_PRESSES + 1)]
    assert pressed == [True] * MAX_PRESSES + [False]
