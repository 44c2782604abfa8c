"""The rules brain: what the caller said goes in, what the bot says and does comes out. Pure;
`now` is passed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from agent.speech.flow import FlowRun
from agent.speech.keys import pressed_in
from agent.speech.phrase import is_question
from agent.speech.reading import CERTAIN, Reader, match_score
from agent.speech.reflex import Reflex, is_closing, reflex
from agent.speech.retrieval import Retriever
from agent.speech.state import Ask, Open, Reply, State, Waiting
from contracts.rules import Intent, RulesConfig

ALWAYS_TOOLS = frozenset({"end_call", "transfer_call"})
_LAST_TOOLS = frozenset({"transfer_call", "detected_voicemail"})
"""Where these succeed the call is over for the bot."""
_SMALL_TALK = frozenset({Reflex.GREETING, Reflex.HOLD_ON, Reflex.THANKS})
"""Said while a tool is at work, these only ask whether anybody is there."""


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

    def takes_digits(self, state: State, digits: str) -> bool:
        """Return whether keys are what the conversation waits for, with none to follow."""
        now = datetime.min.replace(tzinfo=UTC)
        turn = _Turn(self._rules, self._faq, state.copy(), now, self._variables, ALWAYS_TOOLS)
        return turn.takes_digits(digits)

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
        self._reply = Reply()
        self._flow = FlowRun(rules, state, self._reply, variables=variables, tools=tools)
        self._reader = Reader(rules, state, self._flow, now)
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
        waiting, state.waiting = state.waiting, None
        if digits := pressed_in(text):
            self._press(digits)
            return
        kind = reflex(text)
        if kind is Reflex.NOISE:
            state.waiting = waiting
            return
        if waiting is not None and waiting.step >= 0 and kind in _SMALL_TALK:
            self._wait_on(waiting)
            return
        if state.ended:
            # The caller spoke over the goodbye: with something to say, or with a goodbye.
            state.ended = False
            if kind is Reflex.THANKS or not (self._react(kind, text) or self._understand(text)):
                self._flow.end(self._rules.talk.goodbye)
            return
        if self._expected(text) or self._react(kind, text) or self._understand(text):
            state.misses = 0
        elif waiting is not None and waiting.step >= 0:
            self._wait_on(waiting)
        else:
            self._miss()

    def _wait_on(self, waiting: Waiting) -> None:
        """Go on waiting for a tool: what the caller said meanwhile asks for nothing else."""
        self._state.waiting = waiting
        self._flow.say(self._rules.talk.at_work, self._state.turn)

    def takes_digits(self, digits: str) -> bool:
        """Return whether keys are expected, and complete."""
        if any(key != digits and key.startswith(digits) for key in self._listed_digits()):
            return False
        return digits in self._listed_digits() or self._reader.fills_slot(digits)

    def _press(self, digits: str) -> None:
        """Take keys for the open question, or for what they are a short cut to."""
        state, opened = self._state, self._state.open
        state.ended = False
        asked = opened is not None and self._reader.answer_pressed(opened, digits)
        if asked or self._follow_pressed(digits):
            state.misses = 0
        else:
            self._miss()

    def _follow_pressed(self, digits: str) -> bool:
        for intent in self._rules.intents:
            if digits in intent.digits and self._flow.applies(intent.if_):
                # Whoever is there already is asked again.
                return self._follow(intent, 1.0, "") or self._ask_again()
        return False

    def _ask_again(self) -> bool:
        self._flow.ask_again()
        return True

    def _listed_digits(self) -> set[str]:
        opened = self._state.open
        listed = {
            key
            for intent in self._rules.intents
            if self._flow.applies(intent.if_)
            for key in intent.digits
        }
        return listed | (self._reader.listed_digits(opened) if opened is not None else set())

    def take_result(self, result: Mapping[str, str], *, failed: bool) -> None:
        state, waiting = self._state, self._state.waiting
        state.waiting = None
        if waiting is None or state.ended:
            return
        was_told = result.get("transferred") == "no"
        if waiting.tool in _LAST_TOOLS and not failed and not was_told:
            state.ended = True
            return
        if waiting.tool == "transfer_call":
            if not was_told:
                self._flow.say(self._rules.talk.unavailable)
            self._flow.ask_again()
            return
        fields = {"error": "failed", **result} if failed else result
        state.variables |= {f"{waiting.into}.{name}": value for name, value in fields.items()}
        state.done[waiting.step] = waiting.fingerprint
        if failed and not self._flow.minds(waiting.into):
            self._flow.give_in(waiting.tool)
            return
        self._reader.go_on()

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
        score, flow = self._reader.listed_answer(opened, text)
        return self._reader.jump(flow, text) if score >= CERTAIN else False

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
        if intent is not None and score >= CERTAIN and self._follow(intent, score, text):
            return True
        if asks and self._inform(text, certain=True):
            return True
        if self._reader.answer(text) or self._reader.correct(text, needs_cue=False):
            return True
        likely = intent is not None and score >= self._rules.intent_threshold
        if likely and intent is not None and self._follow(intent, score, text):
            return True
        return self._inform(text, certain=False)

    def _intent(self, text: str) -> tuple[Intent | None, float]:
        scored = [
            (match_score(text, intent), at)
            for at, intent in enumerate(self._rules.intents)
            if self._flow.applies(intent.if_)
        ]
        score, at = max(scored, key=lambda pair: (pair[0], -pair[1]), default=(0.0, 0))
        return (self._rules.intents[at], score) if score else (None, 0.0)

    def _follow(self, intent: Intent, score: float, text: str) -> bool:
        """Do what an intent asks for; False where the caller is in the middle of it already."""
        if intent.go and intent.go == self._state.flow:
            return False
        if intent.say is not None:
            self._flow.say(intent.say, self._state.turn)
        if intent.go:
            self._flow.forget_old_answers(intent.go)
            self._flow.enter(intent.go)
            self._reader.volunteered(text)
        if intent.report:
            self._flow.report(intent.name, score)
        if intent.go:
            self._reader.go_on()
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
