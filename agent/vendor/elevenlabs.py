"""ElevenLabs' voices: the first clause is on its way before the sentence is written."""

from __future__ import annotations

from typing import cast

from livekit.agents import tts
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, APIConnectOptions
from livekit.plugins import elevenlabs
from livekit.plugins.elevenlabs.models import TTSEncoding
from livekit.plugins.elevenlabs.tts import SynthesizeStream

from agent.vendor.clauses import ClauseTokenizer
from agent.vendor.direct import Direct
from agent.vendor.timekeeper import Timekeeper
from contracts.engines import TtsConfig
from contracts.vendor.tts import ELEVENLABS_MODEL, ElevenLabsOptions, takes_language

_URL = "https://api.elevenlabs.io/v1"
_NO_KEY = "none"
_STABILITY = 0.5
_SIMILARITY = 0.75
"""The vendor's own defaults, for a bot that sets only some of a voice's settings."""


def elevenlabs_tts(config: TtsConfig, rate_hz: int) -> elevenlabs.TTS:
    """Return the voice, as PCM at the phone's own rate: nothing is decoded or resampled.

    Raises:
        pydantic.ValidationError: an option has a value that ElevenLabs does not take.
    """
    options = ElevenLabsOptions.model_validate(config.extra)
    model = config.model or ELEVENLABS_MODEL
    return ElevenLabsTTS(
        api_key=config.api_key or _NO_KEY,
        base_url=config.base_url or _URL,
        voice_id=config.voice,
        voice_settings=_voice_settings(options) or NOT_GIVEN,
        model=model,
        language=config.language if takes_language(model) and config.language else NOT_GIVEN,
        encoding=cast(TTSEncoding, f"pcm_{rate_hz}"),
        # Each text is spoken as it comes; the tokenizer sees to it that it can be.
        auto_mode=True,
        word_tokenizer=ClauseTokenizer(),
        sync_alignment=True,
        apply_text_normalization=options.apply_text_normalization,
        enable_logging=options.enable_logging,
    )


class ElevenLabsTTS(Direct, elevenlabs.TTS):
    """The plug-in's TTS, with the words' times on the utterance's clock."""

    def stream(
        self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> SynthesizeStream:
        stream = _TimedStream(tts=self, conn_options=conn_options)
        self._streams.add(stream)
        return stream


class _TimedStream(SynthesizeStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        timekeeper = Timekeeper(output_emitter, self._tts.sample_rate)
        await super()._run(cast(tts.AudioEmitter, timekeeper))


def _voice_settings(options: ElevenLabsOptions) -> elevenlabs.VoiceSettings | None:
    asked = (
        options.stability,
        options.similarity_boost,
        options.style,
        options.speed,
        options.use_speaker_boost,
    )
    if all(value is None for value in asked):
        return None
    return elevenlabs.VoiceSettings(
        stability=_STABILITY if options.stability is None else options.stability,
        similarity_boost=_SIMILARITY
        if options.similarity_boost is None
        else options.similarity_boost,
        style=NOT_GIVEN if options.style is None else options.style,
        speed=NOT_GIVEN if options.speed is None else options.speed,
        use_speaker_boost=NOT_GIVEN
        if options.use_speaker_boost is None
        else options.use_speaker_boost,
    )
