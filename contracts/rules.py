"""The rules brain's configuration: `llm: {provider: rules, rules: {...}}`, as an operator writes it
in YAML.

`docs/rules.md` explains it with a complete example. Everything that refers to something by name is
checked here, so a bot that is saved can be talked to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import time
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

SlotType = Literal[
    "name", "phone", "date", "time", "number", "digits", "money", "yes_no", "choice", "text"
]
RESERVED_TOOLS = frozenset({"end_call", "transfer_call"})
"""Tools every bot has; a rules file cannot define its own by these names, nor call them."""
KEY_TOOLS = frozenset({"collect_digits", "send_digits"})
"""Tools of a telephone's keys, which a rules file may call, but not define."""

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


def _as_text(value: Any) -> Any:
    # YAML reads a bare yes, no or 12 as something else than text.
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, int | float) else value


def _as_lines(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


Text = Annotated[str, BeforeValidator(_as_text)]

Keys = Annotated[Text, Field(pattern=r"^[0-9*#A-D]{1,20}$")]
"""Keys of a telephone; in YAML they want quotes, `"0"`."""

Lines = Annotated[list[Text], BeforeValidator(_as_lines), Field(min_length=1)]
"""One line or several wordings of it; a repeated question takes the next one."""

Condition = dict[str, Lines]
"""Variables (`slot.day`, `free.reason`, `var.x`) and the value or values each must have; ""
stands for unknown.
"""

Name = Annotated[str, Field(pattern=_NAME.pattern)]


class _Strict(BaseModel):
    """Refuses unknown keys: a misspelt key in a hand-written file must not be ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Phrases(_Strict):
    """What a caller may say: example phrases, matched loosely, and patterns, matched exactly; or
    the keys they may press instead.
    """

    phrases: list[Text] = Field(default_factory=list)
    patterns: list[str] = Field(default_factory=list)
    digits: list[Keys] = Field(default_factory=list)

    @field_validator("patterns")
    @classmethod
    def _compilable(cls, patterns: list[str]) -> list[str]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"not a regular expression: {pattern!r} ({error})") from error
        return patterns


class Intent(Phrases):
    """Something callers want. Heard at any point of the conversation, it starts a flow or is
    answered in place.
    """

    name: Name
    if_: Condition = Field(default_factory=dict, alias="if")
    """When it is listened for; always, unless given."""
    go: str = ""
    """The flow that serves it."""
    say: Lines | None = None
    """What is answered where no flow is needed; the question that was open is asked again."""
    report: bool = True
    """Whether it appears among the call's `intents`."""

    @model_validator(mode="after")
    def _useful(self) -> Intent:
        if not self.phrases and not self.patterns and not self.digits:
            raise ValueError(f"intent {self.name}: give phrases, patterns or digits")
        return self


class Slot(_Strict):
    """Something to find out from the caller."""

    type: SlotType
    prompt: Lines
    reprompt: Lines | None = None
    """What to ask when the answer was not understood; the prompt again unless given."""
    confirm: Lines | None = None
    """A yes-or-no question that reads the value back, for what must be right (`{{slot.phone}}`)."""
    attempts: int = Field(default=3, ge=1, le=10)
    """How often it is asked before the conversation escalates."""
    choices: dict[Text, list[Text]] = Field(default_factory=dict)
    """`choice`: each value and the words callers use for it."""
    min_digits: int = Field(default=7, ge=1, le=20)
    max_digits: int = Field(default=15, ge=1, le=20)
    """`phone` and `digits`: how many there must be; fewer are kept, and the rest is asked for."""
    earliest: time = time(8)
    """`time`: a bare "at three" means the one that lies in the twelve hours from here."""
    future: bool = True
    """`date`: whether "the fifth" is the next one to come or the last one gone."""

    @model_validator(mode="after")
    def _consistent(self) -> Slot:
        if (self.type == "choice") != bool(self.choices):
            raise ValueError("choices: needed for type choice, and for no other type")
        if self.min_digits > self.max_digits:
            raise ValueError("min_digits is above max_digits")
        return self


class Answer(Phrases):
    """One possible answer to a question step, beside yes and no."""

    go: str


class Step(_Strict):
    """One step of a flow: a condition if wanted, and what to do.

    A flow is run from its top after everything the caller says. A step that is already fulfilled is
    passed over: a slot that is known is not asked, a line that was said is not repeated, a tool is
    not called twice with the same arguments. So a caller may answer several questions at once, or
    correct an answer at any time.
    """

    if_: Condition = Field(default_factory=dict, alias="if")
    """When the step counts; always, unless given."""
    say: Lines | None = None
    """Said once. Beside another action it leads in to that action."""
    ask: str = ""
    """A slot to ask for unless it is known."""
    retry: str = ""
    """A slot to forget and ask for again, by `say`: what the caller gave is not possible."""
    confirm: Lines | None = None
    """A question to pass by yes. On no the caller is asked what to change, unless `no` names a
    flow.
    """
    question: Lines | None = None
    """A question whose answer decides where to go on: `if_yes`, `if_no`, `answers`."""
    if_yes: str = ""
    if_no: str = ""
    answers: list[Answer] = Field(default_factory=list)
    call: str = ""
    """A tool to call; its result's fields become variables under `into`, or the tool's name."""
    with_: list[str] | dict[str, Text] = Field(default_factory=list, alias="with")
    """The tool's arguments: slots by name, or argument and template."""
    into: str = ""
    set: dict[str, Text] = Field(default_factory=dict)
    """Variables to remember (`{{var.name}}`), by template."""
    clear: list[str] = Field(default_factory=list)
    """Slots to forget."""
    report: str = ""
    """An intent to report now, with the slots known so far."""
    go: str = ""
    """A flow to go on with."""
    end: Lines | None = None
    """The last words; then the bot hangs up."""
    transfer: str = ""
    """Why the caller is handed to a human."""

    @model_validator(mode="after")
    def _one_action(self) -> Step:
        actions = [name for name in _ACTIONS if getattr(self, name)]
        if len(actions) > 1:
            raise ValueError(f"a step does one thing, not {' and '.join(actions)}")
        if not actions and self.say is None:
            raise ValueError(f"a step needs say or one of {', '.join(_ACTIONS)}")
        if self.retry and self.say is None:
            raise ValueError("retry needs say: why the caller is asked again")
        if (self.if_yes or self.answers) and self.question is None:
            raise ValueError("if_yes and answers belong to a question")
        if self.if_no and self.question is None and self.confirm is None:
            raise ValueError("if_no belongs to a question or confirm")
        return self

    @property
    def targets(self) -> list[str]:
        """Every flow this step may go on with."""
        named = [self.go, self.if_yes, self.if_no, *(answer.go for answer in self.answers)]
        return [name for name in named if name]


_ACTIONS = (
    "ask", "retry", "confirm", "question", "call", "set", "clear", "report", "go", "end",
    "transfer",
)  # fmt: skip


class Faq(_Strict):
    """A question callers ask and its answer: found by likeness, never made up."""

    questions: list[Text] = Field(min_length=1)
    if_: Condition = Field(default_factory=dict, alias="if")
    """When the answer may be given; always, unless given."""
    answer: Lines


class StaticTool(_Strict):
    """A back end that always answers the same; `{{arg.x}}` stands for an argument."""

    kind: Literal["static"] = "static"
    description: str = ""
    arguments: list[Name] = Field(default_factory=list)
    result: dict[str, Text] = Field(default_factory=dict)


class TableTool(_Strict):
    """A back end that looks a row up: the first whose fields equal the arguments of the same
    name.
    """

    kind: Literal["table"]
    description: str = ""
    arguments: list[Name] = Field(min_length=1)
    rows: list[dict[str, Text]] = Field(min_length=1)


class CalendarTool(_Strict):
    """A back end that knows free times: opening hours by weekday, less what is taken.

    Takes `day` and `time`; answers `available` (yes or no), `reason` (free, taken, closed, past)
    and `offer`, the nearest free times of that day in words.
    """

    kind: Literal["calendar"]
    description: str = ""
    arguments: list[Name] = Field(default_factory=lambda: ["day", "time"])
    open: dict[str, list[str]]
    """Weekday to ranges such as "09:00-12:30"."""
    taken: dict[str, list[str]] = Field(default_factory=dict)
    """Weekday to times that are always taken."""
    slot_minutes: int = Field(default=30, ge=5, le=480)

    @model_validator(mode="after")
    def _days_and_times(self) -> CalendarTool:
        for day in (*self.open, *self.taken):
            if day not in WEEKDAYS:
                raise ValueError(f"not a weekday: {day!r}")
        for text in (text for ranges in self.open.values() for text in ranges):
            start, dash, end = text.partition("-")
            if not dash or time.fromisoformat(start) >= time.fromisoformat(end):
                raise ValueError(f"not a range such as 09:00-17:00: {text!r}")
        for text in (text for times in self.taken.values() for text in times):
            time.fromisoformat(text)
        return self


Tool = Annotated[StaticTool | TableTool | CalendarTool, Field(discriminator="kind")]


class Talk(_Strict):
    """The bot's standing lines. Each may have several wordings."""

    fallback: Lines = Field(
        default_factory=lambda: [
            "Sorry, I didn't catch that.",
            "Sorry, I still didn't get that. Could you say it another way?",
        ]
    )
    """Before the open question is asked again."""
    open_question: Lines = Field(default_factory=lambda: ["How can I help you?"])
    """Asked where nothing else is open."""
    more: Lines = Field(default_factory=lambda: ["Is there anything else I can help you with?"])
    """Asked after a question was answered where nothing else is open. On no the call ends."""
    acknowledge: Lines = Field(default_factory=lambda: ["Okay."])
    """Before the next question, after a correction."""
    hold_on: Lines = Field(default_factory=lambda: ["Sure, take your time."])
    at_work: Lines = Field(default_factory=lambda: ["One moment, I'm still on it."])
    """Said to a caller who speaks while a tool is at work."""
    welcome: Lines = Field(default_factory=lambda: ["You're welcome."])
    more_digits: Lines = Field(default_factory=lambda: ["Okay, and the rest?"])
    what_to_change: Lines = Field(default_factory=lambda: ["What should I change?"])
    human: Lines = Field(
        default_factory=lambda: ["Of course. I'm putting you through to a colleague."]
    )
    escalate: Lines = Field(
        default_factory=lambda: ["I'm having trouble understanding. Let me get a colleague."]
    )
    """Before the caller is handed over because the bot did not understand."""
    unavailable: Lines = Field(
        default_factory=lambda: ["I'm sorry, nobody is free right now. I can help you myself."]
    )
    """Where a human is wanted and no transfer is possible."""
    trouble: Lines = Field(
        default_factory=lambda: [
            "I'm sorry, I can't reach our system right now. Let me get a colleague."
        ]
    )
    """Where a tool failed and the flow has no step `if: {<into>.error: ...}` for that."""
    trouble_end: Lines = Field(
        default_factory=lambda: [
            "I'm sorry, I can't reach our system right now. Please call again later. Goodbye."
        ]
    )
    """The same where no transfer is possible."""
    give_up: Lines = Field(
        default_factory=lambda: [
            "I'm sorry, I can't make out what you say. Please call again later. Goodbye."
        ]
    )
    """Last words where the bot did not understand and no transfer is possible."""
    goodbye: Lines = Field(default_factory=lambda: ["Thank you for calling. Goodbye."])
    robot: Lines = Field(
        default_factory=lambda: ["I'm a virtual assistant. I can get you a person if you like."]
    )
    well: Lines = Field(default_factory=lambda: ["I'm doing well, thank you for asking."])


class RulesConfig(_Strict):
    """A bot's whole brain."""

    start: str = ""
    """The flow a call begins with. Its first question is what the bot's `opening_message` asks."""
    intents: list[Intent] = Field(default_factory=list)
    slots: dict[Name, Slot] = Field(default_factory=dict)
    flows: dict[Name, list[Step]] = Field(default_factory=dict)
    tools: dict[Name, Tool] = Field(default_factory=dict)
    faq: list[Faq] = Field(default_factory=list)
    talk: Talk = Field(default_factory=Talk)
    intent_threshold: float = Field(default=0.62, gt=0, le=1)
    """How alike a caller's words and a phrase must be."""
    faq_threshold: float = Field(default=0.42, gt=0, le=1)
    """How alike a caller's words and a question must be."""
    escalate_after: int = Field(default=3, ge=1, le=10)
    """Turns in a row that were not understood before the caller is handed to a human."""

    @model_validator(mode="after")
    def _resolvable(self) -> RulesConfig:
        names = [intent.name for intent in self.intents]
        if len(names) != len(set(names)):
            raise ValueError("intents: names must be unique")
        if taken := (RESERVED_TOOLS | KEY_TOOLS) & self.tools.keys():
            raise ValueError(f"tools: {', '.join(sorted(taken))} is built in")
        for place, flow in self._flow_references():
            if flow not in self.flows:
                raise ValueError(f"{place}: there is no flow {flow!r}")
        for place, step in self._steps():
            self._check_step(place, step)
        return self

    def _flow_references(self) -> Iterator[tuple[str, str]]:
        if self.start:
            yield "start", self.start
        for intent in self.intents:
            if intent.go:
                yield f"intent {intent.name}", intent.go
        for place, step in self._steps():
            for target in step.targets:
                yield place, target

    def _steps(self) -> Iterator[tuple[str, Step]]:
        for name, steps in self.flows.items():
            for number, step in enumerate(steps, 1):
                yield f"flow {name}, step {number}", step

    def _check_step(self, place: str, step: Step) -> None:
        slots = [step.ask, step.retry, *step.clear]
        slots += step.with_ if isinstance(step.with_, list) else []
        for slot in filter(None, slots):
            if slot not in self.slots:
                raise ValueError(f"{place}: there is no slot {slot!r}")
        if step.call and step.call in RESERVED_TOOLS:
            raise ValueError(f"{place}: use end or transfer instead of call: {step.call}")
