"""OpenAI's realtime models, whose turns are ours to judge."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any

import aiohttp
from livekit import rtc
from livekit.agents import (
    APIConnectionError,
    APIConnectOptions,
    APIError,
    APIStatusError,
    llm,
    utils,
)
from livekit.agents.types import NOT_GIVEN
from livekit.plugins.openai import realtime as plugin
from openai.types.realtime import (
    AudioTranscription,
    ConversationItemAdded,
    ConversationItemCreateEvent,
    RealtimeAudioInputTurnDetection,
    RealtimeConversationItemUserMessage,
    RealtimeErrorEvent,
    RealtimeReasoning,
    ResponseAudioDeltaEvent,
    ResponseDoneEvent,
)
from openai.types.realtime.realtime_audio_input_turn_detection import SemanticVad, ServerVad
from openai.types.realtime.realtime_conversation_item_user_message import Content

from agent.realtime import AnswerTimer, Follower, VoiceGate, wait_for
from agent.vendor.direct import direct_session
from contracts.engines import RealtimeConfig
from contracts.vendor.realtime import (
    OPENAI_REALTIME_MODEL,
    OpenAiRealtimeOptions,
    OpenAiTurnDetection,
)

_URL = "https://api.openai.com/v1"
_NO_KEY = "none"
_VOICE = "marin"
_PATIENCE = APIConnectOptions(max_retry=2, retry_interval=0.5, timeout=4.0)


def openai_realtime(config: RealtimeConfig, *, judges_turns: bool) -> OpenAiRealtime:
    """Return the model.

    Args:
        config: the bot's choice.
        judges_turns: whether OpenAI itself decides when the caller has finished.

    Raises:
        pydantic.ValidationError: an option has a value that OpenAI does not take.
    """
    options = OpenAiRealtimeOptions.model_validate(config.extra)
    words = options.input_audio_transcription
    model = OpenAiRealtime(
        answer_s=config.answer_s,
        model=config.model or OPENAI_REALTIME_MODEL,
        voice=config.voice or _VOICE,
        api_key=config.api_key or _NO_KEY,
        base_url=config.base_url or _URL,
        modalities=["audio"],
        # Where the turns are ours, the bot's own recogniser hears along and writes the words.
        input_audio_transcription=AudioTranscription(
            model=words.model,
            **({"language": config.language} if config.language else {}),
            **({"prompt": words.prompt} if words.prompt else {}),
        )
        if judges_turns
        else None,
        input_audio_noise_reduction=options.input_audio_noise_reduction,
        turn_detection=_turn_detection(options.turn_detection) if judges_turns else None,
        speed=options.speed,
        tracing=options.tracing or NOT_GIVEN,
        truncation=options.truncation or NOT_GIVEN,
        reasoning=RealtimeReasoning(effort=options.reasoning_effort)
        if options.reasoning_effort
        else NOT_GIVEN,
        max_session_duration=float(options.max_session_s),
        conn_options=_PATIENCE,
    )
    if options.max_output_tokens is not None:
        model.update_options(max_response_output_tokens=options.max_output_tokens)
    return model


class OpenAiRealtime(plugin.RealtimeModel):
    """The plug-in's model. Where it does not judge turns, it is given the caller's alone."""

    def __init__(self, *, answer_s: float, **options: Any) -> None:
        super().__init__(**options)
        self.answer_s = answer_s
        self.follower: Follower | None = None
        self._session: _Session | None = None

    def session(self, *, turn_detection_disabled: bool = False) -> plugin.RealtimeSession:
        self._session = _Session(self, turn_detection_disabled=turn_detection_disabled)
        self._sessions.add(self._session)
        return self._session

    def _ensure_http_session(self) -> aiohttp.ClientSession:
        return direct_session()

    def follow(self, follower: Follower, is_bot_heard: Callable[[], bool]) -> None:
        """See `RealtimeEngine`."""
        self.follower = follower

    @property
    def owes_answer(self) -> bool:
        """See `RealtimeEngine`."""
        return self._session is not None and self._session.owes_answer

    def weigh(self) -> None:
        """Have it weighed whether an answer is owed."""
        if self.follower is not None:
            self.follower.weigh()

    def caller_said(self, message: llm.ChatMessage, order: str) -> None:
        """See `RealtimeEngine`."""
        if self._session is not None:
            self._session.caller_said(message.text_content or "", order)

    def forget_voice(self) -> None:
        """See `RealtimeEngine`."""
        if self._session is not None:
            self._session.clear_audio()


class _Session(plugin.RealtimeSession):
    """One connection after the other, and what must outlive them.

    A turn is committed when its answer is asked for, not before: only then are its words known.
    """

    def __init__(self, model: OpenAiRealtime, *, turn_detection_disabled: bool) -> None:
        self._owner = model
        self._gate = None if model.capabilities.turn_detection else VoiceGate()
        self._timer = AnswerTimer(model.answer_s, self._overdue, model.weigh)
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._closing_ws: asyncio.Task[bool] | None = None
        self._words = ""
        self._order = ""
        self._is_turn_over = False
        self._is_voice_lost = False
        self._is_given_up = False
        self._committed: deque[str] = deque()
        """The words of turns that OpenAI has not named yet, in their order."""
        self._unanswered: bool | None = None
        """Whether the answer that was lost had begun; None where none was."""
        self._is_cut_off = False
        """Whether a connection broke, and its successor does not stand yet."""
        self._waiting: dict[str, asyncio.Future[llm.GenerationCreatedEvent]] = {}
        """What was asked meanwhile, and will be sent to the successor."""
        super().__init__(model, turn_detection_disabled=turn_detection_disabled)
        self._main_atask.add_done_callback(lambda task: task.cancelled() or task.exception())
        self.on("session_reconnected", lambda _: self._reconnected())

    @property
    def owes_answer(self) -> bool:
        """Whether it was asked, or is about to be asked anew."""
        return self._timer.is_asked or self._unanswered is not None

    def push_audio(self, frame: rtc.AudioFrame) -> None:
        if self._gate is None or self._gate.hear(frame):
            super().push_audio(frame)
        if self._gate is not None and self._gate.is_forgotten:
            self.clear_audio()

    def start_user_activity(self) -> None:
        """The caller speaks."""
        if self._gate is not None:
            for frame in self._gate.voice():
                super().push_audio(frame)

    def commit_audio(self) -> None:
        if self._gate is None:
            super().commit_audio()
        else:
            self._is_turn_over = True

    def clear_audio(self) -> None:
        if self._gate is not None:
            self._gate.close()
        self._is_turn_over = self._is_voice_lost = False
        self._words = ""
        super().clear_audio()

    def caller_said(self, words: str, order: str) -> None:
        """Take the words of the turn that is over, and how it is to be answered."""
        self._order = order
        self._words = f"{self._words} {words}".strip()

    def generate_reply(self, **how: Any) -> asyncio.Future[llm.GenerationCreatedEvent]:
        if self._is_turn_over:
            self._commit()
            how["instructions"] = how.get("instructions") or self._order or NOT_GIVEN
        asked = super().generate_reply(**how)
        wait_for(asked)
        if self._is_cut_off:
            # The plug-in refuses whatever was asked before the successor stands, sent or not.
            self._waiting.update([self._response_created_futures.popitem()])
            self._unanswered = None
        if self._is_given_up:
            # Or whatever is to be said instead would wait for it.
            self._refuse_all("the realtime model is lost")
            return asked
        self._timer.asked()
        asked.add_done_callback(lambda asked: self._timer.stop() if asked.cancelled() else None)
        return asked

    def interrupt(self) -> None:
        self._timer.stop()
        super().interrupt()

    async def aclose(self) -> None:
        self._timer.stop()
        self._refuse_all("the call is over")
        # What ended it was told when it did.
        with contextlib.suppress(APIError):
            await super().aclose()

    def _commit(self) -> None:
        words, is_lost = self._words, self._is_voice_lost
        if is_lost and words:
            # The voice went with a connection that broke: what was understood of it must do.
            self.clear_audio()
        pushed_s = self._pushed_duration_s
        super().commit_audio()
        if self._pushed_duration_s < pushed_s:
            self._committed.append(words)
        elif words:
            self._create(words)
        self._words, self._is_turn_over, self._is_voice_lost = "", False, False
        if self._gate is not None:
            self._gate.close()

    def _create(self, words: str) -> None:
        item = RealtimeConversationItemUserMessage(
            type="message", role="user", content=[Content(type="input_text", text=words)]
        )
        self.send_event(
            ConversationItemCreateEvent(
                type="conversation.item.create",
                item=item,
                event_id=utils.shortuuid("words_"),
            )
        )

    async def _create_ws_conn(self) -> aiohttp.ClientWebSocketResponse:
        try:
            self._ws = await super()._create_ws_conn()
        except APIConnectionError as error:
            refused = error.__cause__
            if isinstance(refused, aiohttp.WSServerHandshakeError):
                raise APIStatusError(
                    "OpenAI refused the connection", status_code=refused.status
                ) from error
            raise
        return self._ws

    async def _run_ws(self, ws_conn: aiohttp.ClientWebSocketResponse) -> None:
        try:
            await super()._run_ws(ws_conn)
        except (ValueError, KeyError, TypeError) as error:
            # What cannot be read is as good as a connection that broke.
            raise APIConnectionError("OpenAI sent what is no event") from error
        finally:
            self._bury()

    def _overdue(self, times: int) -> None:
        if times > 1 or self._ws is None:
            self._lost("the realtime model answered nothing")
        elif self._is_cut_off:
            self._timer.asked()
        else:
            self._unanswered = False
            # The plug-in connects anew, and tells the history again.
            self._closing_ws = asyncio.create_task(self._ws.close())

    def _bury(self) -> None:
        """Put into the history, which the next connection is told, what only this one knew."""
        self._is_cut_off = True
        self._is_voice_lost = self._is_turn_over or (self._gate is not None and self._gate.is_open)
        for words in self._committed:
            self._remember(words)
        self._committed.clear()
        messages = getattr(self._current_generation, "messages", None)
        if messages is not None or self._response_created_futures:
            self._unanswered = False
        for message in (messages or {}).values():
            known = self._remote_chat_ctx.get(message.message_id)
            if (
                message.audio_transcript
                and known is not None
                and isinstance(known.item, llm.ChatMessage)
            ):
                known.item.content = [message.audio_transcript]
                self._unanswered = True

    def _remember(self, words: str) -> None:
        if words:
            message = llm.ChatMessage(role="user", content=[words])
            self._remote_chat_ctx.insert(self._remote_chat_ctx.tail_id, message)

    def _reconnected(self) -> None:
        self._is_cut_off = False
        asked = {name: asked for name, asked in self._waiting.items() if not asked.done()}
        self._response_created_futures.update(asked)
        self._waiting.clear()
        has_begun, self._unanswered = self._unanswered, None
        if has_begun is not None and self._owner.follower is not None:
            self._timer.stop()
            self._owner.follower.ask_again(has_begun=has_begun)

    def _handle_conversion_item_added(self, event: ConversationItemAdded) -> None:
        super()._handle_conversion_item_added(event)
        if self._gate is None or not self._committed or event.item.id is None:
            return
        known = self._remote_chat_ctx.get(event.item.id)
        item = known.item if known is not None else None
        if isinstance(item, llm.ChatMessage) and item.role == "user" and not item.content:
            # The framework's own copy of the item shares this list.
            item.content.append(self._committed.popleft())

    def _answered(self) -> None:
        # What comes before the awaited answer is begun, belongs to one that was cut off.
        if all(asked.done() for asked in self._response_created_futures.values()):
            self._timer.answered()

    def _handle_response_audio_delta(self, event: ResponseAudioDeltaEvent) -> None:
        self._answered()
        super()._handle_response_audio_delta(event)

    def _handle_function_call(self, item: Any) -> None:
        self._answered()
        super()._handle_function_call(item)

    def _handle_response_done(self, event: ResponseDoneEvent) -> None:
        if event.response.status != "failed":
            # Saying nothing is an answer, too.
            self._answered()
        super()._handle_response_done(event)

    def _handle_error(self, event: RealtimeErrorEvent) -> None:
        if event.error.code == "input_audio_buffer_commit_empty" and self._committed:
            self._committed.popleft()
        super()._handle_error(event)

    def _emit_error(self, error: Exception, recoverable: bool) -> None:
        super()._emit_error(error, True)
        if not recoverable:
            # Told as recoverable, or the framework would close the session before the goodbye.
            status = getattr(error, "status_code", 0)
            self._lost(f"OpenAiRealtime answered {status}" if status > 0 else str(error))

    def _lost(self, why: str) -> None:
        self._is_given_up, self._unanswered = True, None
        self._timer.stop()
        self._refuse_all(why)
        if self._owner.follower is not None:
            self._owner.follower.lost(why)

    def _refuse_all(self, why: str) -> None:
        for asked in (*self._response_created_futures.values(), *self._waiting.values()):
            if not asked.done():
                asked.set_exception(llm.RealtimeError(why))


def _turn_detection(asked: OpenAiTurnDetection) -> RealtimeAudioInputTurnDetection:
    given = asked.model_dump(exclude_none=True)
    if asked.type == "semantic_vad":
        kept = {name: given[name] for name in ("type", "eagerness") if name in given}
        return SemanticVad(**kept, create_response=True, interrupt_response=True)
    given.pop("eagerness", None)
    return ServerVad(**given, create_response=True, interrupt_response=True)
