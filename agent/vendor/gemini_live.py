"""Gemini Live, whose turns are ours to judge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from google.genai import types
from google.genai.live import AsyncSession
from livekit import rtc
from livekit.agents import APIConnectionError, APIConnectOptions, llm
from livekit.agents.types import NOT_GIVEN
from livekit.plugins.google import realtime as plugin
from livekit.plugins.google.realtime.api_proto import ClientEvents

from agent.realtime import AnswerTimer, Follower, VoiceGate, wait_for
from agent.vendor.direct import allow_plain_http, make_gemini_direct
from agent.vendor.gemini_schema import declared
from agent.vendor.tls import tls
from contracts.engines import RealtimeConfig
from contracts.vendor.realtime import (
    GEMINI_LIVE_MODEL,
    GeminiActivityDetection,
    GeminiLiveOptions,
)

make_gemini_direct()

_NO_KEY = "none"
_VOICE = "Puck"
_PATIENCE = APIConnectOptions(max_retry=2, retry_interval=0.5, timeout=4.0)
_TIMEOUT, _TOO_MANY = 408, 429


def gemini_live(config: RealtimeConfig, *, judges_turns: bool) -> GeminiLive:
    """Return the model.

    Args:
        config: the bot's choice.
        judges_turns: whether Gemini itself decides when the caller has finished.

    Raises:
        pydantic.ValidationError: an option has a value that Gemini does not take.
    """
    options = GeminiLiveOptions.model_validate(config.extra)
    return GeminiLive(
        answer_s=config.answer_s,
        model=config.model or GEMINI_LIVE_MODEL,
        api_key=config.api_key or _NO_KEY,
        vertexai=False,
        voice=config.voice or _VOICE,
        language=config.language or NOT_GIVEN,
        temperature=_given(config.temperature),
        max_output_tokens=_given(options.max_output_tokens),
        top_p=_given(options.top_p),
        top_k=_given(options.top_k),
        presence_penalty=_given(options.presence_penalty),
        frequency_penalty=_given(options.frequency_penalty),
        enable_affective_dialog=_given(options.enable_affective_dialog),
        proactivity=_given(options.proactivity),
        thinking_config=NOT_GIVEN
        if options.thinking_budget is None
        else types.ThinkingConfig(thinking_budget=options.thinking_budget),
        # Where the turns are ours, the bot's own recogniser hears along and writes the words.
        input_audio_transcription=types.AudioTranscriptionConfig() if judges_turns else None,
        realtime_input_config=types.RealtimeInputConfig(
            automatic_activity_detection=_detection(options.turn_detection)
            if judges_turns
            else types.AutomaticActivityDetection(disabled=True)
        ),
        context_window_compression=types.ContextWindowCompressionConfig(
            sliding_window=types.SlidingWindow()
        )
        if options.compress_context
        else NOT_GIVEN,
        conn_options=_PATIENCE,
        http_options=types.HttpOptions(
            base_url=config.base_url or None,
            timeout=int(1000 * _PATIENCE.timeout),
            # Unused but for the last, and else each would read the certificates from disk.
            client_args={"verify": tls()},
            async_client_args={"verify": tls(), "ssl": tls()},
        ),
    )


class GeminiLive(plugin.RealtimeModel):
    """The plug-in's model. Where it does not judge turns, it is given the caller's alone."""

    def __init__(self, *, answer_s: float, **options: Any) -> None:
        super().__init__(**options)
        self.answer_s = answer_s
        self.follower: Follower | None = None
        self.is_bot_heard: Callable[[], bool] = lambda: False
        self._session: _Session | None = None

    def session(self, *, turn_detection_disabled: bool = False) -> _Session:
        self._session = _Session(self)
        self._sessions.add(self._session)
        return self._session

    def follow(self, follower: Follower, is_bot_heard: Callable[[], bool]) -> None:
        """See `RealtimeEngine`."""
        self.follower = follower
        self.is_bot_heard = is_bot_heard

    @property
    def owes_answer(self) -> bool:
        """See `RealtimeEngine`."""
        return self._session is not None and self._session.owes_answer

    def weigh(self) -> None:
        """Have it weighed whether an answer is owed."""
        if self.follower is not None:
            self.follower.weigh()

    def caller_said(self, message: llm.ChatMessage, order: str) -> None:
        """See `RealtimeEngine`. Gemini takes no order beside a voice."""
        if self._session is not None:
            self._session.caller_said(message)

    def forget_voice(self) -> None:
        """See `RealtimeEngine`."""
        if self._session is not None:
            self._session.clear_audio()


class _Session(plugin.realtime_api.RealtimeSession):
    """One connection after the other, and what must outlive them.

    Gemini knows a turn by its activity, which cuts off whatever Gemini thinks or says. So the
    caller's voice is held back over it until it has cut the bot off, or was no turn.
    """

    def __init__(self, model: GeminiLive) -> None:
        self._owner = model
        self._gate = None if model.capabilities.turn_detection else VoiceGate()
        self._timer = AnswerTimer(model.answer_s, self._overdue, model.weigh)
        self._held: list[rtc.AudioFrame] = []
        self._words = ""
        self._is_turn_over = False
        self._is_voice_lost = False
        self._is_answering_voice = False
        self._is_saying = self._is_calling = False
        self._is_cut_off = False
        """Whether an answer was given up before it began: its end is still to come."""
        self._unanswered: bool | None = None
        """Whether the answer that was lost had begun; None where none was."""
        self._refusals = 0
        self._is_given_up = False
        super().__init__(model)
        # What ends it was told; nobody else asks.
        self._main_atask.add_done_callback(lambda task: task.cancelled() or task.exception())
        allow_plain_http(self._client)

    @property
    def owes_answer(self) -> bool:
        """Whether it was asked, or is about to be asked anew."""
        return self._timer.is_asked or self._unanswered is not None

    async def update_tools(self, tools: list[llm.Tool]) -> None:
        await super().update_tools(declared(tools))

    def push_audio(self, frame: rtc.AudioFrame) -> None:
        if self._gate is None:
            super().push_audio(frame)
        elif self._gate.hear(frame):
            self._pass_on([frame])
            if self._gate.is_forgotten:
                self.clear_audio()

    def start_user_activity(self) -> None:
        """The caller speaks."""
        if self._gate is not None:
            self._pass_on(self._gate.voice())

    def commit_audio(self) -> None:
        self._is_turn_over = True

    def clear_audio(self) -> None:
        """Send no more of it. What was sent stays, and goes before what is said next."""
        self._held.clear()
        self._is_turn_over, self._words = False, ""
        if self._gate is not None:
            self._gate.close()

    def caller_said(self, message: llm.ChatMessage) -> None:
        """Take the words of the turn that is over."""
        self._words = f"{self._words} {message.text_content or ''}".strip()
        self._chat_ctx.items.append(message)
        self.emit("remote_item_added", llm.RemoteItemAddedEvent(None, message))

    def generate_reply(self, **how: Any) -> asyncio.Future[llm.GenerationCreatedEvent]:
        if self._is_turn_over:
            self._end_turn()
        # The end of an activity asks: to do so in writing too would ask twice.
        self._is_answering_voice = self._in_user_activity and not how.get("instructions")
        self._stop_asking()
        asked = super().generate_reply(**how)
        self._is_answering_voice = False
        wait_for(asked)
        self._timer.asked()
        asked.add_done_callback(self._on_done)
        if self._is_given_up:
            # Or whatever is to be said instead would wait for it.
            self._timer.stop()
            self._give_up("the realtime model is lost")
        return asked

    def interrupt(self) -> None:
        self._stop_asking()
        if self._gate is None:
            super().interrupt()
        elif self._held:
            # Keys, or what is typed, have no activity: to ask for their answer is what stops it.
            self._begin()

    async def aclose(self) -> None:
        self._timer.stop()
        await super().aclose()

    async def _main_task(self) -> None:
        # The plug-in gives a connection up that was refused once.
        while not self._is_given_up:
            try:
                await super()._main_task()
                return
            except APIConnectionError:
                if not self._is_given_up:
                    await asyncio.sleep(_PATIENCE.retry_interval)

    def _pass_on(self, frames: list[rtc.AudioFrame]) -> None:
        self._held += frames
        is_busy = self._timer.is_asked or self._is_saying or self._is_calling
        if self._held and not (is_busy or self._owner.is_bot_heard()):
            self._begin()

    def _begin(self) -> None:
        """Let an activity begin: Gemini stops, and hears what was held back."""
        super().start_user_activity()
        held, self._held = self._held, []
        for frame in held:
            super().push_audio(frame)

    def _end_turn(self) -> None:
        words = self._words
        is_lost = self._is_voice_lost or not (self._held or self._in_user_activity)
        if not is_lost:
            self._begin()
        self.clear_audio()
        self._is_voice_lost = False
        if is_lost and words:
            turn = types.Content(role="user", parts=[types.Part(text=words)])
            self._send_client_event(types.LiveClientContent(turns=[turn], turn_complete=False))

    def _send_client_event(self, event: ClientEvents) -> None:
        if self._is_answering_voice and isinstance(event, types.LiveClientContent):
            return
        super()._send_client_event(event)
        if isinstance(event, types.LiveClientToolResponse):
            self._is_calling = False
            if not self._in_user_activity:
                # Gemini goes on by itself.
                self._timer.asked()

    def _build_connect_config(self) -> types.LiveConnectConfig:
        # What was asked since the last one broke is sent as soon as one is made.
        if not self._refusals:
            self._bury()
        return super()._build_connect_config()

    def _bury(self) -> None:
        # A new connection knows of no activity, and answers nothing that its predecessor was asked.
        is_speaking = self._gate is not None and self._gate.is_open and not self._held
        self._is_voice_lost = self._in_user_activity and (is_speaking or self._is_turn_over)
        self._in_user_activity = False
        self._unanswered = self._is_saying if self._is_saying or self._timer.is_asked else None
        self._is_saying = self._is_cut_off = False
        self._timer.stop()
        self._give_up("the connection broke")

    async def _send_task(self, session: AsyncSession) -> None:
        # Only now: the history that Gemini lacks is to be told first.
        has_begun, self._unanswered = self._unanswered, None
        if has_begun is not None and not self._timer.is_asked and self._owner.follower is not None:
            self._owner.follower.ask_again(has_begun=has_begun)
        await super()._send_task(session)

    def _overdue(self, times: int) -> None:
        if times > 1 or self._active_session is None:
            self._lost("the realtime model answered nothing")
        else:
            # It is connected anew, and asked again.
            self._mark_restart_needed(on_error=True)

    def _stop_asking(self) -> None:
        self._is_cut_off |= self._timer.is_asked
        self._timer.stop()

    def _give_up(self, why: str) -> None:
        if self._awaited is not None:
            self._awaited.set_exception(llm.RealtimeError(why))

    @property
    def _awaited(self) -> asyncio.Future[llm.GenerationCreatedEvent] | None:
        asked = self._pending_generation_fut
        return None if asked is None or asked.done() else asked

    def _on_done(self, asked: asyncio.Future[llm.GenerationCreatedEvent]) -> None:
        if asked.cancelled() and self._awaited is None:
            self._stop_asking()

    def _handle_server_content(self, server_content: types.LiveServerContent) -> None:
        turn, before = server_content.model_turn, self._current_generation
        # What comes before the awaited answer begins, belongs to the one that it cut off.
        is_older = self._awaited is not None and before is not None and not before._done
        if any(part.inline_data for part in (turn.parts if turn is not None else None) or []):
            self._is_saying = True
            if not is_older:
                self._timer.answered()
        is_whole = server_content.generation_complete or server_content.turn_complete
        if is_whole or server_content.interrupted:
            self._is_saying = False
        if server_content.turn_complete:
            if not (is_older or self._is_cut_off):
                # Saying nothing is an answer, too.
                self._timer.answered()
            self._is_cut_off = False
        super()._handle_server_content(server_content)

    def _handle_tool_calls(self, tool_call: types.LiveServerToolCall) -> None:
        self._is_saying, self._is_calling = False, True
        self._timer.answered()
        super()._handle_tool_calls(tool_call)

    def _handle_input_speech_started(self) -> None:
        # Also told of an answer that Gemini gives to a tool's result, or by itself.
        if self._gate is None:
            super()._handle_input_speech_started()

    def _emit_error(self, error: Exception, recoverable: bool) -> None:
        # Told as recoverable, or the framework would close the session before the goodbye.
        super()._emit_error(error, True)
        if recoverable:
            return
        self._refusals += self._active_session is None
        if not (1 <= self._refusals <= _PATIENCE.max_retry and _may_pass(error)):
            self._lost(_why(error))

    def _report_connection_acquired(self, *how: Any, **more: Any) -> None:
        self._refusals = 0
        super()._report_connection_acquired(*how, **more)

    def _lost(self, why: str) -> None:
        self._is_given_up, self._unanswered = True, None
        self._timer.stop()
        self._give_up(why)
        if self._owner.follower is not None:
            self._owner.follower.lost(why)


def _why(error: Exception) -> str:
    status = _status(error)
    return f"GeminiLive answered {status}" if status else type(error).__name__


def _may_pass(error: Exception) -> bool:
    status = _status(error)
    return status is None or status in (_TIMEOUT, _TOO_MANY) or 500 <= status < 600


def _status(error: Exception) -> int | None:
    """Return the status of an answer, or the code that a connection was closed with."""
    response = getattr(error, "response", None)
    return getattr(response, "status_code", None) or getattr(error, "code", None)


def _detection(asked: GeminiActivityDetection) -> types.AutomaticActivityDetection:
    start, end = asked.start_of_speech_sensitivity, asked.end_of_speech_sensitivity
    return types.AutomaticActivityDetection(
        disabled=False,
        start_of_speech_sensitivity=types.StartSensitivity(f"START_SENSITIVITY_{start.upper()}")
        if start
        else None,
        end_of_speech_sensitivity=types.EndSensitivity(f"END_SENSITIVITY_{end.upper()}")
        if end
        else None,
        prefix_padding_ms=asked.prefix_padding_ms,
        silence_duration_ms=asked.silence_duration_ms,
    )


def _given(value: Any) -> Any:
    return NOT_GIVEN if value is None else value
