"""The rules brain: what the caller said goes in, what the bot says and does comes out. Pure;
`now` is passed in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from agent.speech.flow import FlowRun
from agent.speech.phrase import best, is_question, matches_any, normal
from agent.speech.reflex import Reflex, is_closing, reflex
from agent.speech.retrieval import Retriever
from agent.speech.slot import Partial, Value, extract, yes_no
from agent.speech.state import Ask, Open, Reply, State
from contracts.rules import Intent, Phrases, RulesConfig

ALWAYS_TOOLS = frozenset({"end_call", "transfer_call"})
_CERTAIN = 0.95
_PATTERN_SCORE = 0.98
_CORRECTION = re.compile(
    r"\b(?:no|not|nope|actually|sorry|i meant|i mean|instead|change|rather|make it|make that|wait"
    r"|correction|wrong)\b"
)
_DIGIT_TYPES = ("phone", "digits", "number", "money")


class Dialogue:
    """A bot's rules, ready to talk. It holds no conversation: that is the `State` passed in and
    out.
    """

    def __init__(self, rules: RulesConfig, variables: Mapping[str, str]) -> None:
        self._rules = rules
        self._variables = dict(variables)
        self._faq = Retriever([entry.questions for entry in rules.faq])

    def hear(
        self, state: State, text: str, now: datetime, tools: frozenset[str] = ALWAYS_TOOLS
    ) -> tuple[State, Reply]:
        """Return the state after the caller said `text`, and the bot's reply.

        Args:
            state: where the conversation stood; not changed.
            text: the caller's words, as the recogniser wrote them.
            now: the moment, in the bot's time zone.
            tools: the names of the tools that can be called.
        """
        turn = _Turn(self._rules, self._faq, state.copy(), now, self._variables, tools)
        turn.hear(text)
        return turn.finish()

    def answered(
        self,
        state: State,
        result: Mapping[str, str],
        now: datetime,
        tools: frozenset[str] = ALWAYS_TOOLS,
        *,
        failed: bool = False,
    ) -> tuple[State, Reply]:
        """Return the state after the awaited tool answered, and how the bot goes on."""
        turn = _Turn(self._rules, self._faq, state.copy(), now, self._variables, tools)
        turn.take_result(result, failed=failed)
        return turn.finish()


class _Turn:
    """One turn's work on a copy of the state."""

    def __init__(
        self,
        rules: RulesConfig,
        faq: Retriever,
        state: State,
        now: datetime,
        variables: Mapping[str, str],
        tools: frozenset[str],
    ) -> None:
        self._rules = rules
        self._faq = faq
        self._state = state
        self._now = now
        self._reply = Reply()
        self._flow = FlowRun(rules, state, self._reply, variables=variables, tools=tools)
        if state.fresh:
            self._begin()

    def _begin(self) -> None:
        """Stand where the opening message left the caller: at the first question of the start
        flow.
        """
        self._state.fresh = False
        if self._rules.start:
            self._flow.enter(self._rules.start)
            self._flow.run()
            self._state.said = self._reply.text
            self._reply.lines.clear()
            self._reply.tools.clear()

    def hear(self, text: str) -> None:
        state = self._state
        state.turn += 1
        # A tool the caller spoke over: it is called again if it is still needed.
        state.waiting = None
        if state.ended:
            self._flow.end(self._rules.talk.goodbye)
            return
        kind = reflex(text)
        if kind is Reflex.NOISE:
            return
        if self._expected(text) or self._react(kind, text) or self._understand(text):
            state.misses = 0
        else:
            self._miss()

    def take_result(self, result: Mapping[str, str], *, failed: bool) -> None:
        state, waiting = self._state, self._state.waiting
        state.waiting = None
        if waiting is None or state.ended:
            return
        if waiting.tool == "transfer_call":
            if failed:
                self._flow.say(self._rules.talk.unavailable)
                self._flow.ask_again()
            else:
                state.ended = True
            return
        fields = {"error": "failed", **result} if failed else result
        state.variables |= {f"{waiting.into}.{name}": value for name, value in fields.items()}
        state.done[waiting.step] = waiting.fingerprint
        self._flow.run()
        self._leave_open()

    def finish(self) -> tuple[State, Reply]:
        if self._reply.lines:
            self._state.said = self._reply.text
        return self._state, self._reply

    def _react(self, kind: Reflex | None, text: str) -> bool:
        talk = self._rules.talk
        match kind:
            case Reflex.REPEAT:
                self._repeat()
            case Reflex.HOLD_ON:
                self._flow.say(talk.hold_on, self._state.turn)
            case Reflex.HUMAN:
                self._flow.report("human", 1.0)
                self._flow.transfer("The caller asked for a human", talk.human)
                if self._state.waiting is None:
                    self._flow.ask_again()
            case Reflex.GOODBYE:
                self._flow.end(talk.goodbye)
            case Reflex.THANKS | Reflex.HOW_ARE_YOU | Reflex.ROBOT:
                lines = {Reflex.THANKS: talk.welcome, Reflex.ROBOT: talk.robot}
                self._flow.say(lines.get(kind, talk.well), self._state.turn)
                self._flow.ask_again()
            case Reflex.GREETING:
                self._flow.ask_again()
            case _:
                return self._closing(text)
        return True

    def _repeat(self) -> None:
        state = self._state
        if state.open is not None and (state.misses or not state.said):
            self._reply.lines.append(state.open.text)
        else:
            self._reply.lines.append(
                state.said or self._flow.render(self._rules.talk.open_question[0])
            )

    def _expected(self, text: str) -> bool:
        """Take an answer the open question lists by name, before anything else is read into it."""
        opened = self._state.open
        if opened is None or opened.kind is not Ask.QUESTION:
            return False
        score, flow = self._listed_answer(opened, text)
        return self._jump(flow, text) if score >= _CERTAIN else False

    def _listed_answer(self, opened: Open, text: str) -> tuple[float, str]:
        step = self._rules.flows[self._state.flow][opened.step]
        scored = ((_score(text, answer), answer.go) for answer in step.answers)
        return max(scored, key=lambda pair: pair[0], default=(0.0, ""))

    def _closing(self, text: str) -> bool:
        """Take "that's all" for a goodbye, unless it answers what was asked."""
        opened = self._state.open
        if not is_closing(text) or (opened is not None and opened.kind is not Ask.MORE):
            return False
        self._flow.end(self._rules.talk.goodbye)
        return True

    def _understand(self, text: str) -> bool:
        """Try the readings of `text` from the likeliest to the least; return whether one held."""
        asks = is_question(text)
        intent, score = self._intent(text)
        if intent is not None and score >= _CERTAIN and self._follow(intent, score, text):
            return True
        if asks and self._inform(text, certain=True):
            return True
        if self._answer(text) or self._correct(text, needs_cue=False):
            return True
        likely = intent is not None and score >= self._rules.intent_threshold
        if likely and intent is not None and self._follow(intent, score, text):
            return True
        return self._inform(text, certain=False)

    def _intent(self, text: str) -> tuple[Intent | None, float]:
        scored = [
            (_score(text, intent), at)
            for at, intent in enumerate(self._rules.intents)
            if self._flow.applies(intent.if_)
        ]
        score, at = max(scored, key=lambda pair: (pair[0], -pair[1]), default=(0.0, 0))
        return (self._rules.intents[at], score) if score else (None, 0.0)

    def _follow(self, intent: Intent, score: float, text: str) -> bool:
        """Do what an intent asks for; False where the caller is in the middle of it already."""
        if intent.go and intent.go == self._state.flow:
            return False
        if intent.report:
            self._flow.report(intent.name, score)
        if intent.say is not None:
            self._flow.say(intent.say, self._state.turn)
        if intent.go:
            self._flow.forget_old_answers(intent.go)
            self._flow.enter(intent.go)
            self._volunteered(text)
            self._flow.run()
            self._leave_open()
        else:
            self._flow.ask_again()
        return True

    def _inform(self, text: str, *, certain: bool) -> bool:
        """Answer from the written answers, then ask the open question again."""
        entries = self._rules.faq
        found = self._faq.find(text, lambda at: self._flow.applies(entries[at].if_))
        threshold = self._rules.faq_threshold * (1.25 if certain else 1.0)
        if found is None or found.score < threshold:
            return False
        self._flow.say(entries[found.index].answer, self._state.turn)
        if self._state.open is None:
            question = self._flow.say(self._rules.talk.more, self._state.turn)
            self._state.open = Open(Ask.MORE, 0, question)
        else:
            self._flow.ask_again()
        return True

    def _answer(self, text: str) -> bool:
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
                return self._correct(text, needs_cue=False) or self._reopen(text)
            case Ask.MORE:
                return self._answer_more(text)

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
        if self._correct(text, needs_cue=True):
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
            if not self._volunteered(text):
                return False
            state.attempts.pop(opened.slot, None)
        else:
            self._fill(opened.slot, value)
            if slot.type not in _DIGIT_TYPES:
                self._volunteered(text)
        self._go_on()
        return True

    def _answer_read_back(self, opened: Open, text: str) -> bool:
        state, slot = self._state, self._rules.slots[opened.slot]
        value = extract(slot, text, self._now, asked=slot.type != "name")
        if isinstance(value, Value) and value.raw != state.slots[opened.slot].raw:
            self._fill(opened.slot, value)
            self._go_on()
            return True
        match yes_no(text):
            case True:
                state.read_back[opened.slot] = state.slots[opened.slot].raw
            case False:
                if self._correct(text, needs_cue=False):
                    return True
                state.slots.pop(opened.slot)
            case None:
                return False
        self._go_on()
        return True

    def _answer_question(self, opened: Open, text: str) -> bool:
        step = self._rules.flows[self._state.flow][opened.step]
        agrees = yes_no(text)
        score, flow = self._listed_answer(opened, text)
        if agrees is None and score >= self._rules.intent_threshold:
            return self._jump(flow, text)
        if self._correct(text, needs_cue=False):
            return True
        if agrees is None:
            return False
        if agrees:
            self._state.done[opened.step] = self._flow.render(
                (step.confirm or step.question or [""])[0]
            )
            return self._jump(step.if_yes, text) if step.if_yes else self._go_on()
        if step.if_no:
            return self._jump(step.if_no, text)
        if opened.kind is Ask.CONFIRM:
            question = self._flow.say(self._rules.talk.what_to_change)
            self._state.open = Open(Ask.CHANGE, opened.step, question)
            return True
        self._state.done[opened.step] = self._flow.render((step.question or [""])[0])
        return self._go_on()

    def _jump(self, flow: str, text: str) -> bool:
        self._flow.enter(flow)
        self._volunteered(text)
        return self._go_on()

    def _correct(self, text: str, *, needs_cue: bool) -> bool:
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
        self._volunteered(text)
        self._flow.say(self._rules.talk.acknowledge, self._state.turn)
        self._go_on()
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
        return self._go_on() if named else False

    def _volunteered(self, text: str) -> bool:
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

    def _go_on(self) -> bool:
        self._state.open = None
        self._flow.run()
        self._leave_open()
        return True

    def _leave_open(self) -> None:
        """Never leave the caller without a question: a conversation must not end by accident."""
        state = self._state
        if state.open is None and state.waiting is None and not state.ended and not state.flow:
            self._flow.say(self._rules.talk.open_question, state.turn)

    def _miss(self) -> None:
        """Say that nothing was understood and ask again; hand over once it happens too often."""
        state, talk = self._state, self._rules.talk
        state.misses += 1
        opened = state.open
        limit = self._rules.escalate_after
        if opened is not None and opened.kind is Ask.SLOT:
            limit = min(limit, self._rules.slots[opened.slot].attempts)
        if state.misses >= limit:
            state.misses = 0
            self._flow.transfer(
                "The bot did not understand the caller", talk.escalate, otherwise=talk.give_up
            )
            return
        self._flow.insist(talk.fallback, state.misses - 1)
        if opened is not None and opened.kind is Ask.SLOT and self._is_plain(opened):
            self._flow.ask(opened.slot, opened.step)
        else:
            self._flow.ask_again()

    def _is_plain(self, opened: Open) -> bool:
        """Return whether a slot was asked by its own prompt, not by a step's special words."""
        return self._rules.flows[self._state.flow][opened.step].ask == opened.slot


def _score(text: str, phrases: Phrases) -> float:
    """Return how well `text` is one of `phrases`; words somebody listed outdo a pattern."""
    likeness = best(text, phrases.phrases)
    return max(likeness, _PATTERN_SCORE) if matches_any(text, phrases.patterns) else likeness
