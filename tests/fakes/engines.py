"""Scripted STT, LLM and TTS: the test says what is heard, answered and how long speaking takes."""

from __future__ import annotations

import asyncio
from typing import Any

from livekit.agents import (
    APIConnectOptions,
    APITimeoutError,
    NotGivenOr,
    llm,
    stt,
    tts,
    utils,
    vad,
)
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN

from agent.engines import Engines
from contracts.rules import RulesConfig

RATE_HZ = 8000
CHARS_PER_S = 20.0
"""How fast the fake voice speaks."""

Kind = stt.SpeechEventType
_VAD_EACH_S = 0.032


class ScriptedSTT(stt.STT[Any]):
    """Hears what the test says is heard."""

    def __init__(self) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=True))
        self.script: asyncio.Queue[stt.SpeechEvent | Exception] = asyncio.Queue()

    def begin(self) -> None:
        """The caller begins to speak."""
        self.script.put_nowait(stt.SpeechEvent(Kind.START_OF_SPEECH))

    def interim(self, text: str) -> None:
        self.script.put_nowait(event(Kind.INTERIM_TRANSCRIPT, text))

    def final(self, text: str) -> None:
        """The caller has said `text`, and falls silent."""
        self.script.put_nowait(event(Kind.FINAL_TRANSCRIPT, text))
        self.script.put_nowait(stt.SpeechEvent(Kind.END_OF_SPEECH))

    def say(self, text: str) -> None:
        """The caller says `text` and no more."""
        self.begin()
        self.interim(text)
        self.final(text)

    def fail(self, error: Exception) -> None:
        """The stream dies of `error`."""
        self.script.put_nowait(error)

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> stt.RecognizeStream:
        return _ScriptedStream(self, conn_options)

    async def _recognize_impl(self, *_: Any, **__: Any) -> stt.SpeechEvent:
        raise AssertionError("a session streams; nobody asks for a whole recording")


class _ScriptedStream(stt.RecognizeStream):
    def __init__(self, owner: ScriptedSTT, conn_options: APIConnectOptions) -> None:
        super().__init__(stt=owner, conn_options=conn_options)
        self._script = owner.script

    async def _run(self) -> None:
        while True:
            heard = await self._script.get()
            if isinstance(heard, Exception):
                raise heard
            self._event_ch.send_nowait(heard)


def event(kind: Kind, text: str) -> stt.SpeechEvent:
    """Return what an STT makes of words."""
    return stt.SpeechEvent(kind, alternatives=[stt.SpeechData(language="en", text=text)])  # type: ignore[arg-type]


class ScriptedLLM(llm.LLM[Any]):
    """Answers with the next reply of its script: a text, or a text and a tool to call."""

    def __init__(self, *replies: str | tuple[str, str, str]) -> None:
        super().__init__()
        self.replies = list(replies)
        self.asked: list[str] = []
        """What each reply answered: the last thing in the conversation so far."""
        self.error: Exception | None = None
        self.delay_s = 0.0
        """How long each answer takes to begin."""
        self.told: list[str] = []
        """What each question came with beside what was said: the system's messages."""
        self.is_silent = False
        """Whether it takes every question and answers none."""

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        tools: list[llm.Tool] | None = None,
        **_: Any,
    ) -> llm.LLMStream:
        last = chat_ctx.items[-1]
        said = (
            last.text_content if isinstance(last, llm.ChatMessage) else getattr(last, "output", "")
        )
        self.asked.append(said or "")
        self.told.append(
            " ".join(
                item.text_content or ""
                for item in chat_ctx.items
                if isinstance(item, llm.ChatMessage) and item.role == "system"
            )
        )
        reply = self.replies.pop(0) if self.replies else "I see."
        return _Reply(self, reply, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _Reply(llm.LLMStream):
    def __init__(self, owner: ScriptedLLM, reply: str | tuple[str, str, str], **how: Any) -> None:
        super().__init__(owner, **how)
        self._owner = owner
        self._text, self._tool, self._arguments = (
            (reply, "", "") if isinstance(reply, str) else reply
        )

    async def _run(self) -> None:
        if self._owner.is_silent:
            await asyncio.sleep(self._conn_options.timeout)
            raise APITimeoutError
        if self._owner.error is not None:
            raise self._owner.error
        await asyncio.sleep(self._owner.delay_s)
        calls = []
        if self._tool:
            calls = [
                llm.FunctionToolCall(
                    name=self._tool,
                    arguments=self._arguments or "{}",
                    call_id=utils.shortuuid("call_"),
                )
            ]
        delta = llm.ChoiceDelta(role="assistant", content=self._text, tool_calls=calls)
        self._event_ch.send_nowait(llm.ChatChunk(id=utils.shortuuid("chunk_"), delta=delta))


class ScriptedTTS(tts.TTS[Any]):
    """Speaks at `CHARS_PER_S`, or fails."""

    def __init__(self) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False),
            sample_rate=RATE_HZ,
            num_channels=1,
        )
        self.error: Exception | None = None
        self.is_silent = False
        """Whether it takes every text and says none."""
        self.said: list[str] = []
        """What it was given to say."""

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        self.said.append(text)
        return _Speech(self, text, conn_options)


class _Speech(tts.ChunkedStream):
    def __init__(self, owner: ScriptedTTS, text: str, conn_options: APIConnectOptions) -> None:
        self._owner = owner
        super().__init__(tts=owner, input_text=text, conn_options=conn_options)

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        if self._owner.is_silent:
            await asyncio.sleep(self._conn_options.timeout)
            raise APITimeoutError
        if self._owner.error is not None:
            raise self._owner.error
        output_emitter.initialize(
            request_id=utils.shortuuid("tts_"),
            sample_rate=RATE_HZ,
            num_channels=1,
            mime_type="audio/pcm",
        )
        samples = round(len(self.input_text) / CHARS_PER_S * RATE_HZ)
        output_emitter.push(b"\x00\x10" * samples)


class ScriptedVAD(vad.VAD):
    """Hears a voice where the test says there is one."""

    def __init__(self) -> None:
        super().__init__(capabilities=vad.VADCapabilities(update_interval=_VAD_EACH_S))
        self.script: asyncio.Queue[bool] = asyncio.Queue()

    @property
    def model(self) -> str:
        return "scripted"

    @property
    def provider(self) -> str:
        return "tests"

    def begin(self) -> None:
        """Somebody makes a sound."""
        self.script.put_nowait(True)

    def end(self) -> None:
        """They are silent."""
        self.script.put_nowait(False)

    def stream(self) -> vad.VADStream:
        return _ScriptedVADStream(self)


class _ScriptedVADStream(vad.VADStream):
    def __init__(self, owner: ScriptedVAD) -> None:
        super().__init__(owner)
        self._script = owner.script

    async def _main_task(self) -> None:
        voice_s, is_voice = 0.0, False
        while True:
            try:
                async with asyncio.timeout(_VAD_EACH_S if is_voice else None):
                    was_voice, is_voice = is_voice, await self._script.get()
            except TimeoutError:
                voice_s += _VAD_EACH_S
                self._tell(vad.VADEventType.INFERENCE_DONE, voice_s, speaking=True)
                continue
            if is_voice and not was_voice:
                voice_s = _VAD_EACH_S
                self._tell(vad.VADEventType.START_OF_SPEECH, voice_s, speaking=True)
            elif was_voice and not is_voice:
                self._tell(vad.VADEventType.END_OF_SPEECH, voice_s, speaking=False)

    def _tell(self, kind: vad.VADEventType, voice_s: float, *, speaking: bool) -> None:
        self._event_ch.send_nowait(
            vad.VADEvent(
                type=kind,
                samples_index=0,
                timestamp=0.0,
                speech_duration=voice_s,
                silence_duration=0.0,
                speaking=speaking,
                raw_accumulated_speech=voice_s if speaking else 0.0,
            )
        )


class ScriptedEngines:
    """The three of one call, and the `Engines` made of them.

    Args:
        replies: the brain's.
        vad: what hears voices, if the recogniser is not to be the only one.
    """

    def __init__(
        self, *replies: str | tuple[str, str, str], vad: ScriptedVAD | None = None
    ) -> None:
        self.stt = ScriptedSTT()
        self.llm = ScriptedLLM(*replies)
        self.tts = ScriptedTTS()
        self.vad = vad

    def engines(self) -> Engines:
        return Engines(
            stt=self.stt,
            llm=self.llm,
            tts=self.tts,
            vad=self.vad,
            turn_detection="stt",
            rules=RulesConfig(),
            pipeline={"stt": {"provider": "scripted"}},
        )
