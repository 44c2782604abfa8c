"""Runs a flow's steps until the caller or a tool has to answer. Pure.

A flow is run from its top every time; steps that are fulfilled are passed over. That makes
corrections and answers ahead of their question ordinary: they change what is known, and the run
does the rest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum, auto

from agent.speech.state import Ask, Heard, Open, Reply, State, ToolRequest, Waiting
from contracts.rules import RulesConfig, Slot, Step
from contracts.template import render

_MAX_STEPS = 200
"""Two flows that send each other round are stopped here."""


class _Next(Enum):
    GO_ON = auto()
    JUMP = auto()
    WAIT = auto()


class FlowLoop(Exception):
    """Flows that go to one another without ever asking the caller: a mistake in the rules.

    Attributes:
        flow: where it was noticed.
    """

    def __init__(self, flow: str) -> None:
        super().__init__(f"flow {flow!r} goes in a circle without asking anything")
        self.flow = flow


class FlowRun:
    """One run over a state, writing into a reply."""

    def __init__(
        self,
        rules: RulesConfig,
        state: State,
        reply: Reply,
        *,
        variables: Mapping[str, str],
        tools: frozenset[str],
    ) -> None:
        self._rules = rules
        self._state = state
        self._reply = reply
        self._variables = variables
        self._tools = tools

    def enter(self, flow: str) -> None:
        """Begin `flow` anew; what is known stays known."""
        state = self._state
        if state.flow:
            state.completed |= {state.flow}
        state.flow = flow
        state.done = {}
        state.open = None

    def forget_old_answers(self, flow: str) -> None:
        """Forget what `flow` asked for when it ran before, but not who is calling."""
        if flow in self._state.completed:
            for step in self._rules.flows[flow]:
                slot = step.ask or step.retry
                if slot and self._rules.slots[slot].type not in ("name", "phone"):
                    self._forget(slot)

    def run(self) -> None:
        """Go on as far as possible; afterwards a question is open, a tool awaited, or the flow
        over.
        """
        for _ in range(_MAX_STEPS):
            if not self._state.flow or self._pass() is not _Next.JUMP:
                return
        raise FlowLoop(self._state.flow)

    def say(self, lines: list[str], turn: int = 0) -> str:
        """Say a wording of `lines`, with its variables filled in; return it."""
        return self._say(lines[turn % len(lines)])

    def insist(self, lines: list[str], attempt: int) -> str:
        """Say the wording for the n-th attempt; the last one once they are used up."""
        return self._say(lines[min(attempt, len(lines) - 1)])

    def _say(self, line: str) -> str:
        text = self.render(line)
        if text:
            self._reply.lines.append(text)
        return text

    def render(self, template: str) -> str:
        """Return `template` with every variable that is known; unknown ones vanish."""
        return render(template, self.values(), drop_unresolved=True).strip()

    def values(self) -> dict[str, str]:
        """Return every variable by full name."""
        state = self._state
        values = {**self._variables, **state.variables}
        for name, value in state.slots.items():
            values[f"slot.{name}"] = value.text
            values[f"slot.{name}.raw"] = value.raw
        return values

    def report(self, name: str, confidence: float) -> None:
        """Note an intent with what is known by now."""
        slots = {slot: value.raw for slot, value in self._state.slots.items()}
        self._reply.intents.append(Heard(name, round(confidence, 2), slots))

    def ask(self, name: str, step: int) -> None:
        """Ask for a slot; more urgently the second time."""
        slot = self._rules.slots[name]
        attempt = self._state.attempts.get(name, 0)
        self._state.attempts[name] = attempt + 1
        lines = slot.prompt if attempt == 0 or slot.reprompt is None else slot.reprompt
        text = self.insist(lines, max(0, attempt - 1) if slot.reprompt else attempt)
        self._state.open = Open(Ask.SLOT, step, text, name)

    def ask_again(self) -> None:
        """Ask the open question once more, in its next wording."""
        opened = self._state.open
        if opened is None:
            self.say(self._rules.talk.open_question, self._state.turn)
        elif opened.kind in (Ask.CONFIRM, Ask.QUESTION):
            step = self._rules.flows[self._state.flow][opened.step]
            lines = step.confirm or step.question or []
            attempt = self._state.attempts.get(self.render(lines[0]), 1)
            self._state.attempts[self.render(lines[0])] = attempt + 1
            self.insist(lines, attempt)
        else:
            self._reply.lines.append(opened.text)

    def applies(self, condition: Mapping[str, list[str]]) -> bool:
        """Return whether every variable has one of the values it must have."""
        values = self.values()
        return all(
            {values.get(name, ""), values.get(f"{name}.raw", "")} & set(allowed)
            for name, allowed in condition.items()
        )

    def transfer(
        self, reason: str, lead: list[str] | None, *, otherwise: list[str] | None = None
    ) -> None:
        """Hand the caller over; where that is impossible say so and go on, or end with
        `otherwise`.
        """
        if "transfer_call" not in self._tools:
            if otherwise is not None:
                self.end(otherwise)
            else:
                self.say(self._rules.talk.unavailable)
            return
        if lead:
            self.say(lead)
        self._reply.tools.append(ToolRequest("transfer_call", {"reason": reason}))
        self._state.waiting = Waiting("transfer_call", -1, "", "")
        self._state.open = None

    def leave_open(self) -> None:
        """Never leave the caller without a question: a conversation must not end by accident."""
        state = self._state
        at_rest = state.open is None and state.waiting is None and not state.ended
        if at_rest and not state.flow and not self._reply.text.endswith("?"):
            self.say(self._rules.talk.open_question, state.turn)

    def minds(self, into: str) -> bool:
        """Return whether the flow has a step for the failure of a tool."""
        steps = self._rules.flows[self._state.flow]
        return any(f"{into}.error" in step.if_ for step in steps)

    def give_in(self, tool: str) -> _Next:
        """Hand the caller over because a tool failed, rather than claim what was not done."""
        talk = self._rules.talk
        self.transfer(f"The tool {tool} failed", talk.trouble, otherwise=talk.trouble_end)
        return _Next.WAIT

    def end(self, lines: list[str]) -> None:
        """Say the last words and hang up."""
        self.say(lines)
        if "end_call" in self._tools:
            self._reply.tools.append(ToolRequest("end_call", {}))
        self._state.open = None
        self._state.ended = True

    def _pass(self) -> _Next:
        """Run over the flow once; return why it stopped."""
        for number, step in enumerate(self._rules.flows[self._state.flow]):
            if not self.applies(step.if_):
                continue
            following = self._perform(number, step)
            if following is not _Next.GO_ON:
                return following
        self._state.completed |= {self._state.flow}
        self._state.flow = ""
        return _Next.GO_ON

    def _perform(self, number: int, step: Step) -> _Next:
        state = self._state
        if step.ask:
            return self._ask_step(number, step)
        if step.retry:
            self._forget(step.retry)
            assert step.say is not None
            attempt = state.attempts[step.retry] = state.attempts.get(step.retry, 0) + 1
            state.open = Open(Ask.SLOT, number, self.insist(step.say, attempt - 1), step.retry)
            return _Next.WAIT
        if step.confirm is not None:
            return self._ask_once(number, Ask.CONFIRM, step.confirm, step)
        if step.question is not None:
            return self._ask_once(number, Ask.QUESTION, step.question, step)
        if step.call:
            return self._call(number, step)
        if step.end is not None:
            self._lead_in(number, step)
            self.end(step.end)
            return _Next.WAIT
        if step.transfer:
            self.transfer(self.render(step.transfer), step.say)
            return _Next.GO_ON if state.waiting is None else _Next.WAIT
        return self._note(number, step)

    def _note(self, number: int, step: Step) -> _Next:
        """Do what needs no answer: say, set, clear, report, go."""
        self._lead_in(number, step)
        if step.go:
            self.enter(step.go)
            return _Next.JUMP
        values = {name: self.render(value) for name, value in step.set.items()}
        if self._is_new(number, json.dumps([values, step.clear, step.report])):
            self._state.variables |= {f"var.{name}": value for name, value in values.items()}
            for slot in step.clear:
                self._forget(slot)
            if step.report:
                self.report(step.report, 1.0)
        return _Next.GO_ON

    def _ask_step(self, number: int, step: Step) -> _Next:
        state, name = self._state, step.ask
        value = state.slots.get(name)
        if value is None:
            self._lead_in(number, step)
            self.ask(name, number)
            return _Next.WAIT
        slot: Slot = self._rules.slots[name]
        if slot.confirm is None or state.read_back.get(name) == value.raw:
            return _Next.GO_ON
        state.open = Open(Ask.READ_BACK, number, self.say(slot.confirm), name)
        return _Next.WAIT

    def _ask_once(self, number: int, kind: Ask, lines: list[str], step: Step) -> _Next:
        text = self.render(lines[0])
        if self._state.done.get(number) == text:
            return _Next.GO_ON
        self._lead_in(-1 - number, step)
        self._state.attempts[text] = 1
        self._state.open = Open(kind, number, self.say(lines))
        return _Next.WAIT

    def _call(self, number: int, step: Step) -> _Next:
        state = self._state
        arguments = self._arguments(step)
        fingerprint = json.dumps([step.call, arguments], sort_keys=True)
        if state.done.get(number) == fingerprint:
            return _Next.GO_ON
        into = step.into or step.call
        state.variables = {
            name: value
            for name, value in state.variables.items()
            if not name.startswith(f"{into}.")
        }
        if step.call not in self._tools:
            state.variables[f"{into}.error"] = "unavailable"
            state.done[number] = fingerprint
            return _Next.GO_ON if self.minds(into) else self.give_in(step.call)
        if step.say is not None:
            self.say(step.say, state.turn)
        self._reply.tools.append(ToolRequest(step.call, arguments))
        state.waiting = Waiting(step.call, number, into, fingerprint)
        return _Next.WAIT

    def _arguments(self, step: Step) -> dict[str, str]:
        if isinstance(step.with_, dict):
            return {name: self.render(template) for name, template in step.with_.items()}
        slots = self._state.slots
        return {name: slots[name].raw for name in step.with_ if name in slots}

    def _lead_in(self, number: int, step: Step) -> None:
        """Say a step's line unless these very words were said in this run of the flow."""
        if step.say is None:
            return
        key = number if number < 0 else number + _LEAD_INS
        text = self.render(step.say[0])
        if self._state.done.get(key) != text:
            self._state.done[key] = text
            self.say(step.say, self._state.turn)

    def _is_new(self, number: int, fingerprint: str) -> bool:
        if self._state.done.get(number) == fingerprint:
            return False
        self._state.done[number] = fingerprint
        return True

    def _forget(self, slot: str) -> None:
        self._state.slots.pop(slot, None)
        self._state.read_back.pop(slot, None)
        self._state.partial.pop(slot, None)


_LEAD_INS = 10_000
"""Lead-ins are remembered beside their steps' own marks."""
