"""Reads what the caller said as an answer: to the open question, ahead of one, or as a
correction. Pure.
"""

from __future__ import annotations

import re
from datetime import datetime

from agent.speech.flow import FlowRun
from agent.speech.keys import is_keys
from agent.speech.phrase import best, matches_any, normal
from agent.speech.slot import Partial, Value, extract, yes_no
from agent.speech.state import Ask, Open, State
from contracts.rules import Phrases, RulesConfig, Step

CERTAIN = 0.95
_PATTERN_SCORE = 0.98
_CORRECTION = re.compile(
    r"\b(?:no|not|nope|actually|sorry|i mean|i meant|i met|instead|change|rather|make it|make that"
    r"|wait|correction|wrong)\b"
)
_DIGIT_TYPES = ("phone", "digits", "number", "money")


class Reader:
    """Reads one turn's words into a state, and lets the flow go on."""

    def __init__(self, rules: RulesConfig, state: State, flow: FlowRun, now: datetime) -> None:
        self._rules = rules
        self._state = state
        self._flow = flow
        self._now = now

    def answer(self, text: str) -> bool:
        """Take `text` for the answer to the open question."""
        opened = self._state.open
        if opened is None:
            return False
        match opened.kind:
            case Ask.SLOT:
                return self._answer_slot(opened, text)
            case Ask.READ_BACK:
                return self._answer_read_back(opened, text)
            case Ask.CONFIRM | Ask.QUESTION:
                return self._answer_question(opened, text)
            case Ask.CHANGE:
                return self.correct(text, needs_cue=False) or self._reopen(text)
            case Ask.MORE:
                return self._answer_more(text)

    def answer_pressed(self, opened: Open, digits: str) -> bool:
        """Take keys for the answer to the open question; return whether they are one."""
        if opened.kind is Ask.QUESTION:
            for answer in self._step(opened).answers:
                if digits in answer.digits:
                    return self.jump(answer.go, "")
        if opened.kind is not Ask.SLOT:
            return False
        slot = self._rules.slots[opened.slot]
        for value, words in slot.choices.items():
            if digits in (value, *words):
                self._fill(opened.slot, Value(value, value))
                return self.go_on()
        entered = digits.rstrip("#")
        return bool(entered) and slot.type in _DIGIT_TYPES and self._answer_slot(opened, entered)

    def fills_slot(self, digits: str) -> bool:
        """Return whether the open question is a slot that takes these keys, and none beyond."""
        opened = self._state.open
        if opened is None or opened.kind is not Ask.SLOT:
            return False
        slot = self._rules.slots[opened.slot]
        if digits in self.listed_digits(opened):
            return True
        had = self._state.partial.get(opened.slot, "")
        return slot.type in ("phone", "digits") and len(had + digits) >= slot.max_digits

    def listed_digits(self, opened: Open) -> set[str]:
        """Return the keys that the open question names."""
        if opened.kind is Ask.QUESTION:
            return {key for answer in self._step(opened).answers for key in answer.digits}
        if opened.kind is Ask.SLOT:
            slot = self._rules.slots[opened.slot]
            named = {word for value, words in slot.choices.items() for word in (value, *words)}
            return {word for word in named if is_keys(word)}
        return set()

    def _step(self, opened: Open) -> Step:
        return self._rules.flows[self._state.flow][opened.step]

    def _answer_more(self, text: str) -> bool:
        match yes_no(text):
            case True:
                self._state.open = None
                self._flow.ask_again()
            case False:
                self._flow.end(self._rules.talk.goodbye)
            case None:
                return False
        return True

    def _answer_slot(self, opened: Open, text: str) -> bool:
        state, slot = self._state, self._rules.slots[opened.slot]
        if self.correct(text, needs_cue=True):
            return True
        value = extract(
            slot, text, self._now, asked=True, partial=state.partial.get(opened.slot, "")
        )
        if isinstance(value, Partial):
            state.partial[opened.slot] = value.digits
            self._flow.say(self._rules.talk.more_digits)
            return True
        if value is None:
            # "Tuesday" when the time was asked for helps all the same.
            if not self.volunteered(text):
                return False
            state.attempts.pop(opened.slot, None)
        else:
            self._fill(opened.slot, value)
            if slot.type not in _DIGIT_TYPES:
                self.volunteered(text)
        self.go_on()
        return True

    def _answer_read_back(self, opened: Open, text: str) -> bool:
        state, slot = self._state, self._rules.slots[opened.slot]
        value = extract(slot, text, self._now, asked=slot.type != "name")
        if isinstance(value, Value) and value.raw != state.slots[opened.slot].raw:
            self._fill(opened.slot, value)
            self.go_on()
            return True
        match yes_no(text):
            case True:
                state.read_back[opened.slot] = state.slots[opened.slot].raw
            case False:
                if self.correct(text, needs_cue=False):
                    return True
                state.slots.pop(opened.slot)
            case None:
                return False
        self.go_on()
        return True

    def _answer_question(self, opened: Open, text: str) -> bool:
        step = self._step(opened)
        agrees = yes_no(text)
        score, flow = self.listed_answer(opened, text)
        if agrees is None and score >= self._rules.intent_threshold:
            return self.jump(flow, text)
        if self.correct(text, needs_cue=False):
            return True
        if agrees is None:
            return False
        if agrees:
            self._state.done[opened.step] = self._flow.render(
                (step.confirm or step.question or [""])[0]
            )
            return self.jump(step.if_yes, text) if step.if_yes else self.go_on()
        if step.if_no:
            return self.jump(step.if_no, text)
        if opened.kind is Ask.CONFIRM:
            question = self._flow.say(self._rules.talk.what_to_change)
            self._state.open = Open(Ask.CHANGE, opened.step, question)
            return True
        self._state.done[opened.step] = self._flow.render((step.question or [""])[0])
        return self.go_on()

    def jump(self, flow: str, text: str) -> bool:
        """Go on with another flow, with all that `text` tells it already."""
        self._flow.enter(flow)
        self.volunteered(text)
        return self.go_on()

    def correct(self, text: str, *, needs_cue: bool) -> bool:
        """Take a new value for something already known ("no, I meant Wednesday")."""
        if needs_cue and not _CORRECTION.search(normal(text)):
            return False
        opened = self._state.open
        changed = False
        for name in self._flow_slots():
            old = self._state.slots.get(name)
            if old is None or (needs_cue and opened is not None and opened.slot == name):
                continue
            value = extract(self._rules.slots[name], text, self._now, asked=False)
            if isinstance(value, Value) and value.raw != old.raw:
                self._fill(name, value)
                changed = True
        if not changed:
            return False
        self.volunteered(text)
        self._flow.say(self._rules.talk.acknowledge, self._state.turn)
        self.go_on()
        return True

    def _reopen(self, text: str) -> bool:
        """Forget the thing the caller named ("the time") so that it is asked for again."""
        plain = normal(text)
        named = [
            name
            for name in self._flow_slots()
            if name.replace("_", " ") in plain or self._rules.slots[name].type in plain.split()
        ]
        for name in named:
            self._state.slots.pop(name, None)
            self._state.attempts.pop(name, None)
        return self.go_on() if named else False

    def volunteered(self, text: str) -> bool:
        """Take what the caller said beyond the question, for slots of this flow that are still
        empty.
        """
        taken = False
        for name in self._flow_slots():
            if name in self._state.slots:
                continue
            value = extract(self._rules.slots[name], text, self._now, asked=False)
            if isinstance(value, Value):
                self._fill(name, value)
                taken = True
        return taken

    def _flow_slots(self) -> list[str]:
        steps = self._rules.flows.get(self._state.flow, [])
        return list(
            dict.fromkeys(step.ask or step.retry for step in steps if step.ask or step.retry)
        )

    def _fill(self, name: str, value: Value) -> None:
        self._state.slots[name] = value
        self._state.partial.pop(name, None)
        self._state.attempts.pop(name, None)

    def go_on(self) -> bool:
        """Let the flow run on from what is known now."""
        self._state.open = None
        self._flow.run()
        self._flow.leave_open()
        return True

    def listed_answer(self, opened: Open, text: str) -> tuple[float, str]:
        """Return how well `text` is one of the answers a question lists, and where that leads."""
        step = self._step(opened)
        scored = ((match_score(text, answer), answer.go) for answer in step.answers)
        return max(scored, key=lambda pair: pair[0], default=(0.0, ""))


def match_score(text: str, phrases: Phrases) -> float:
    """Return how well `text` is one of `phrases`; words somebody listed outdo a pattern."""
    likeness = best(text, phrases.phrases)
    return max(likeness, _PATTERN_SCORE) if matches_any(text, phrases.patterns) else likeness
