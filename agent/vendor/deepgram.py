"""Deepgram's streaming recogniser (Nova)."""

from __future__ import annotations

from livekit.agents.types import NOT_GIVEN
from livekit.plugins import deepgram

from contracts.bot import SttConfig
from contracts.vendor import DEEPGRAM_MODEL, DeepgramOptions

_URL = "https://api.deepgram.com/v1/listen"
_NO_KEY = "none"
"""Said to a server of one's own that asks for no key: the plug-in insists on one."""


def deepgram_stt(config: SttConfig, rate_hz: int) -> deepgram.STT:
    """Return the recogniser, fed with the phone's own rate: nothing is resampled on the way.

    Raises:
        pydantic.ValidationError: an option has a value that Deepgram does not take.
    """
    options = DeepgramOptions.model_validate(config.extra)
    return deepgram.STT(
        api_key=config.api_key or _NO_KEY,
        base_url=config.base_url or _URL,
        model=config.model or DEEPGRAM_MODEL,
        language=config.language,
        sample_rate=rate_hz,
        endpointing_ms=options.endpointing_ms,
        interim_results=options.interim_results,
        punctuate=options.punctuate,
        smart_format=options.smart_format,
        no_delay=options.no_delay,
        filler_words=options.filler_words,
        numerals=options.numerals,
        profanity_filter=options.profanity_filter,
        redact=options.redact or NOT_GIVEN,
        keyterm=options.keyterm or NOT_GIVEN,
        mip_opt_out=options.mip_opt_out,
    )
