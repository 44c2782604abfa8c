"""`python -m bench.sip.echo_agent`: an agent worker whose calls send back what they hear.

They send back what is loud alone, without the silence that a packet begins or ends with. Each loud
packet's arrival goes to the file `ECHO_LOG` as `<caller> <monotonic seconds>`: the clock is one for
all processes of a machine, so that audio's way in can be told from its way out.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from array import array
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from livekit import rtc
from livekit.agents import AutoSubscribe, JobContext, JobProcess

from agent import worker
from agent.__main__ import main
from agent.call import be_seen
from agent.settings import AgentSettings
from contracts.ids import MEDIA_TOPIC, parse_job_metadata
from contracts.media import Heard, Speech, SpeechEnd, parse_up, serialize
from contracts.outcome import Reason
from contracts.plan import AgentPlan, Claim
from contracts.report import AgentEnded, AgentJoined, ConversationStarted, Report, Source
from sidecar.client import SidecarClient

LOUD = 8000
_TLS = "tls"


def warm_up(process: JobProcess) -> None:
    """Get a child process ready, without the speech that it does not need."""
    rtc.AudioResampler(8000, 16000)  # starts the SDK's native runtime
    process.userdata[_TLS] = ssl.create_default_context()


async def serve_call(ctx: JobContext) -> None:
    """Serve the call a dispatch names."""
    settings = AgentSettings()
    call_id, incarnation = parse_job_metadata(ctx.job.metadata)
    async with SidecarClient(
        settings.sidecar_url, settings.voxcore_secret, tls=ctx.proc.userdata[_TLS]
    ) as client:
        claim = Claim(incarnation=incarnation, worker_id=settings.agent_worker_id)
        gone = asyncio.Event()
        ctx.room.on("participant_disconnected", lambda _: gone.set())
        ctx.room.on("disconnected", lambda _: gone.set())
        plan, _ = await asyncio.gather(
            client.claim(call_id, claim),
            ctx.connect(auto_subscribe=AutoSubscribe.SUBSCRIBE_NONE),
        )
        echoing = asyncio.create_task(_echo(ctx.room, plan))
        await be_seen(ctx.room)
        now = datetime.now(UTC)
        await client.report(
            call_id,
            Report(
                source=Source.AGENT,
                incarnation=incarnation,
                seq=1,
                facts=[AgentJoined(at=now), ConversationStarted(at=now)],
            ),
        )
        await gone.wait()
        echoing.cancel()
        ended = AgentEnded(at=datetime.now(UTC), reason=Reason.CALLER_HUNG_UP)
        over = Report(source=Source.AGENT, incarnation=incarnation, seq=3, facts=[ended])
        await client.report(call_id, over)
    ctx.shutdown(reason="call ended")


async def _echo(room: rtc.Room, plan: AgentPlan) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    log, caller = Path(os.environ["ECHO_LOG"]), plan.variables["call.caller_id"]

    def receive(packet: rtc.DataPacket) -> None:
        if packet.topic != MEDIA_TOPIC:
            return
        up = parse_up(bytes(packet.data))
        if isinstance(up, Heard) and (loud := _loud_part(up.pcm)):
            with log.open("a") as file:
                file.write(f"{caller} {time.monotonic()}\n")
            heard.put_nowait(loud)

    room.on("data_received", receive)
    for segment in count(1):
        pcm = await heard.get()
        for packet in (Speech(segment, pcm), SpeechEnd(segment)):
            await room.local_participant.publish_data(
                serialize(packet),
                destination_identities=[plan.caller_identity],
                topic=MEDIA_TOPIC,
            )


def _loud_part(pcm: bytes) -> bytes:
    """Return the samples from the first loud one to the last."""
    samples = array("h", pcm)
    loud = [at for at, sample in enumerate(samples) if abs(sample) > LOUD]
    return samples[loud[0] : loud[-1] + 1].tobytes() if loud else b""


if __name__ == "__main__":
    worker.serve_call = serve_call  # type: ignore[attr-defined]
    worker.warm_up = warm_up  # type: ignore[attr-defined]
    asyncio.run(main())
