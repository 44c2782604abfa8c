"""The peer: a minimal Pipecat bot on Exotel's protocol, as Pipecat's own documentation writes one.

Runs in an environment of its own (`python -m uvicorn bench.peer.pipecat_bot:app`) and imports
nothing of ours; `mypy`, which runs in ours, leaves it out. It follows the project generator's
telephony template: default voice detection, the default turn strategy (Smart Turn v3), default
services. What differs is said where it differs.
"""

# mypy: ignore-errors
from __future__ import annotations

import os
import sys

from fastapi import FastAPI, WebSocket
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.runner.types import WebSocketRunnerArguments
from pipecat.runner.utils import create_transport
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.services.elevenlabs.tts import ElevenLabsTTSService
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.transports.base_transport import BaseTransport
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams
from pipecat.workers.runner import WorkerRunner

VENDORS = os.environ["PEER_VENDORS"]
"""`127.0.0.1:port` of the stand-in vendors."""
MESSAGE_MS = int(os.environ["PEER_MESSAGE_MS"])
GREETING = os.environ["PEER_GREETING"]
PROMPT = os.environ["PEER_PROMPT"]

# Ours logs warnings alone, so the peer does too: its default writes a line per frame event.
logger.remove()
logger.add(sys.stderr, level="WARNING")

app = FastAPI()


@app.get("/health")
async def health() -> dict[str, str]:
    """Tell that calls can come."""
    return {"status": "ok"}


@app.websocket("/exotel")
async def exotel(websocket: WebSocket) -> None:
    """Carry one call."""
    await websocket.accept()
    params = {
        "exotel": lambda: FastAPIWebsocketParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            audio_out_10ms_chunks=MESSAGE_MS // 10,
        )
    }
    transport = await create_transport(WebSocketRunnerArguments(websocket=websocket), params)
    await run_bot(transport)


async def run_bot(transport: BaseTransport) -> None:
    """Hold one conversation."""
    stt = DeepgramSTTService(api_key="bench", base_url=f"ws://{VENDORS}")
    llm = OpenAILLMService(
        api_key="bench",
        base_url=f"http://{VENDORS}/v1",
        settings=OpenAILLMService.Settings(model="gpt-4.1", system_instruction=PROMPT),
    )
    tts = ElevenLabsTTSService(
        api_key="bench",
        url=f"ws://{VENDORS}",
        settings=ElevenLabsTTSService.Settings(voice="bench"),
    )
    user, assistant = LLMContextAggregatorPair(
        LLMContext(), user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
    )
    pipeline = Pipeline([transport.input(), stt, user, llm, tts, transport.output(), assistant])
    worker = PipelineWorker(
        pipeline,
        params=PipelineParams(
            enable_metrics=True,
            enable_usage_metrics=True,
            audio_in_sample_rate=8000,
            audio_out_sample_rate=8000,
        ),
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)

    # The template asks the model for a greeting; both products here speak a fixed line, which is
    # the faster way.
    @transport.event_handler("on_client_connected")
    async def on_client_connected(_transport: BaseTransport, _client: WebSocket) -> None:
        await worker.queue_frames([TTSSpeakFrame(GREETING)])

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(_transport: BaseTransport, _client: WebSocket) -> None:
        await runner.cancel()

    await runner.run()
