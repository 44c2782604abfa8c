"""Call audio between a LiveKit session and a bridge, over the room's data channel.

`MediaLink` owns the wire; `RoomAudioOutput`, and `agent.room_input`, are what `AgentSession` sees
of it. Times are `time.time()` seconds, as the framework's own outputs report them; the clock is
passed in.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

import structlog
from livekit import rtc
from livekit.agents.voice import io

from agent.ear import Ear, onset
from agent.heard import BotLine
from agent.leg_clock import LegClock
from agent.outgoing import Outgoing
from agent.room_input import RoomAudioInput
from agent.segment import SAMPLE_BYTES, Reader, Segment, Watch
from contracts import media
from contracts.ids import MEDIA_TOPIC

log = structlog.get_logger(__name__)

_CLEAR_TIMEOUT_S = 2.0
_MAX_PCM_BYTES = media.MAX_PACKET_BYTES - 64

OnAudio = Callable[[int, bytes, bytes], None]
"""Called with `(at_ms, caller_pcm, bot_pcm)` for every stretch of the call, in order."""


class RoomAudioOutput(io.AudioOutput):
    """The bot's voice towards the bridge: sent as fast as it is made, played by the bridge's clock.

    Positions come from the bridge with every stretch of caller audio, so "playback started",
    "finished" and what was heard of an interrupted line are the phone's truth, not an estimate.
    """

    def __init__(
        self, send: Callable[[media.DownPacket], None], rate_hz: int, clock: Callable[[], float]
    ) -> None:
        super().__init__(
            label="RoomAudioOutput",
            capabilities=io.AudioOutputCapabilities(pause=True),
            sample_rate=rate_hz,
        )
        self._send = send
        self._rate_hz = rate_hz
        self._clock = clock
        self._segments: OrderedDict[int, Segment] = OrderedDict()
        self._current: Segment | None = None
        self._next_line = BotLine()
        self._last_number = 0
        self._paused = self._held = False
        self._clear_timer: asyncio.TimerHandle | None = None
        self._abandoned = False
        self._watch: Watch | None = None
        self._reader: Reader | None = None
        self._on_pause: Callable[[bool], None] = lambda _: None

    def show(self, reader: Reader) -> None:
        """Let somebody read each line as it is heard."""
        self._reader = reader

    def watch(self, watch: Watch) -> None:
        """Tell somebody what becomes of each line."""
        self._watch = watch

    def tell_pauses(self, on_pause: Callable[[bool], None]) -> None:
        """Tell somebody when playback begins to stand still, and when that is over."""
        self._on_pause = on_pause

    def expect(self, line: BotLine) -> None:
        """Name the line whose audio comes next."""
        self._next_line = line

    @property
    def paused(self) -> bool:
        """Whether playback stands still (somebody spoke over the bot)."""
        return self._paused

    @property
    def speaking_line(self) -> BotLine | None:
        """The line being played, or None when the bot is silent."""
        segment = self._speaking
        return None if segment is None else segment.line

    @property
    def heard(self) -> str:
        """What the caller has heard of that line."""
        segment = self._speaking
        return "" if segment is None else segment.heard(self._rate_hz)

    @property
    def is_heard(self) -> bool:
        """Whether some of the line being played has been."""
        return any(segment.started for segment in self._lines)

    @property
    def remaining_s(self) -> float:
        """Audio made but not yet played, seconds."""
        return sum(segment.pushed - segment.played for segment in self._lines) / self._rate_hz

    @property
    def is_guarded(self) -> bool:
        """Whether what is playing goes on under a voice."""
        segment = self._speaking
        return segment is not None and segment.is_guarded(self._rate_hz)

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Send audio of the current segment; a new one begins after `flush`."""
        await super().capture_frame(frame)
        if self._current is None:
            self.drop_aside()
            self._current = self._begin(self._next_line)
            self._next_line = BotLine()
        self._push(self._current, bytes(frame.data))

    def put_aside(self, frame: rtc.AudioFrame) -> bool:
        """Send audio that is nobody's answer, to be heard until the next line's comes.

        Return whether it is still wanted.
        """
        aside = self._aside
        if aside is None and not self._segments and not self._abandoned:
            aside = self._begin(BotLine(), is_aside=True)
        if aside is None or aside.is_dropped:
            return False
        self._push(aside, bytes(frame.data))
        return True

    def end_aside(self) -> None:
        """The aside is complete."""
        if self._aside is not None:
            self._send(media.SpeechEnd(self._aside.number))

    def drop_aside(self) -> None:
        """Play no more of an aside."""
        aside = self._aside
        if aside is not None and not aside.is_dropped:
            aside.is_dropped = True
            self._clear(aside.number, is_paused=self._held or self._paused)

    def flush(self) -> None:
        """End the current segment."""
        super().flush()
        if self._current is not None:
            self._send(media.SpeechEnd(self._current.number))
            self._current = None
            if self._abandoned:
                self.abandon()

    def clear_buffer(self) -> None:
        """Drop everything not yet played."""
        if not self._segments:
            return
        if self._abandoned:
            self.abandon()
            return
        number = next(reversed(self._segments))
        self._clear(number, is_paused=self._held)
        if self._clear_timer is None:
            loop = asyncio.get_running_loop()
            self._clear_timer = loop.call_later(_CLEAR_TIMEOUT_S, self._give_up, number)

    def pause(self) -> None:
        """Stop playing at once, keep the rest; a line that is guarded plays on."""
        super().pause()
        if self.is_guarded:
            return
        if not self._paused:
            self._paused = True
            if not self._held:
                self._send(media.Pause())
            self._on_pause(True)

    def resume(self) -> None:
        """Play on."""
        super().resume()
        if self._paused:
            self._paused = False
            if not self._held:
                self._send(media.Resume())
            self._on_pause(False)

    def insist(self) -> None:
        """Play the line that is paused to its end, whoever speaks."""
        if self._speaking is not None:
            self._speaking.plays_on = True
        self.resume()

    def hold(self) -> None:
        """Play nothing until `release`, whatever is said and whoever resumes meanwhile."""
        self.drop_aside()
        if not self._held:
            self._held = True
            if not self._paused:
                self._send(media.Pause())

    def release(self) -> None:
        """Play on, unless somebody spoke over the bot."""
        if self._held:
            self._held = False
            if not self._paused:
                self._send(media.Resume())

    def leaves(self, number: int) -> None:
        """Take note that audio of a segment is being sent."""
        segment = self._segments.get(number)
        if segment is not None and not segment.is_sent and not segment.is_aside:
            segment.is_sent = True
            if self._watch is not None:
                self._watch.sent(segment.line.speech_id)

    def advance(self, number: int, played: int, at_ms: float | None = None) -> bytes:
        """Take note that `played` samples of a segment have been played by `at_ms` of the leg.

        Return those that are new.
        """
        segment = self._segments.get(number)
        if segment is None or played <= segment.played:
            return b""
        if segment.is_aside:
            new = bytes(segment.pcm[segment.played * SAMPLE_BYTES : played * SAMPLE_BYTES])
            segment.played = played
            return new
        if not segment.started:
            segment.started = True
            self.on_playback_started(created_at=self._clock() - played / self._rate_hz)
        new = bytes(segment.pcm[segment.played * SAMPLE_BYTES : played * SAMPLE_BYTES])
        self.on_playback_progressed(
            started_at=self._clock() - (played - segment.played) / self._rate_hz,
            offset=segment.played / self._rate_hz,
            duration=(played - segment.played) / self._rate_hz,
        )
        segment.played = played
        if at_ms is not None:
            self._tell_heard(segment, at_ms)
        if self._reader is not None:
            self._reader.said(segment.line, segment.heard(self._rate_hz), is_over=False)
        return new

    def finish(
        self, number: int, played: int, *, interrupted: bool, at_ms: float | None = None
    ) -> bytes:
        """Take note that a segment will play no further; return what was new of it."""
        new = self.advance(number, played, at_ms)
        for segment in [s for s in self._segments.values() if s.number <= number]:
            del self._segments[segment.number]
            if self._current is segment:
                self._current = None
            if not segment.is_aside:
                self._report(segment, interrupted or segment.number < number)
        if self._clear_timer is not None and not self._segments:
            self._clear_timer.cancel()
            self._clear_timer = None
        return new

    def abandon(self) -> None:
        """Finish every open segment where it stands: nobody is left to play it, or what follows."""
        self._abandoned = True
        if self._segments:
            last = next(reversed(self._segments.values()))
            self.finish(last.number, last.played, interrupted=True)

    @property
    def _lines(self) -> list[Segment]:
        return [segment for segment in self._segments.values() if not segment.is_aside]

    @property
    def _speaking(self) -> Segment | None:
        return next(iter(self._lines), None)

    @property
    def _aside(self) -> Segment | None:
        return next((each for each in self._segments.values() if each.is_aside), None)

    def _begin(self, line: BotLine, *, is_aside: bool = False) -> Segment:
        self._last_number += 1
        segment = Segment(self._last_number, line, is_aside)
        self._segments[self._last_number] = segment
        return segment

    def _push(self, segment: Segment, pcm: bytes) -> None:
        if segment.onset is None and (first := onset(pcm, self._rate_hz)) is not None:
            segment.onset = segment.pushed + first
        segment.pcm += pcm
        for start in range(0, len(pcm), _MAX_PCM_BYTES):
            self._send(media.Speech(segment.number, pcm[start : start + _MAX_PCM_BYTES]))

    def _clear(self, number: int, *, is_paused: bool) -> None:
        self._send(media.Clear(number))
        if is_paused:
            # A `Clear` ends every pause: what comes next would be played.
            self._send(media.Pause())

    def _give_up(self, number: int) -> None:
        self._clear_timer = None
        segment = self._segments.get(number)
        if segment is not None:
            log.warning("clear was not answered", timeout_s=_CLEAR_TIMEOUT_S)
            self.finish(number, segment.played, interrupted=True)

    def _tell_heard(self, segment: Segment, at_ms: float) -> None:
        if self._watch is None or segment.is_heard or segment.onset is None:
            return
        if segment.played > segment.onset:
            segment.is_heard = True
            played_ms, lead_in_ms = (
                1000 * samples / self._rate_hz for samples in (segment.played, segment.onset)
            )
            self._watch.heard(segment.line.speech_id, at_ms - played_ms, lead_in_ms)

    def _report(self, segment: Segment, interrupted: bool) -> None:
        heard = segment.heard(self._rate_hz) if interrupted else None
        if self._reader is not None:
            text = segment.line.text if heard is None else heard
            self._reader.said(segment.line, text, is_over=True)
        self.on_playback_finished(
            playback_position=segment.played / self._rate_hz,
            interrupted=interrupted,
            synchronized_transcript=heard,
        )


class MediaLink:
    """Both ways between this agent and the caller's bridge, in order.

    Obeys packets of the caller's identity only. What is not ours, or cut short, is dropped and
    counted.
    """

    def __init__(
        self,
        room: rtc.Room,
        *,
        caller_identity: str,
        rate_hz: int,
        clock: Callable[[], float],
        on_audio: OnAudio,
    ) -> None:
        self._room = room
        self._caller_identity = caller_identity
        self._on_audio = on_audio
        self._bot_pcm = bytearray()
        self.dropped_packets = 0
        self.clock = clock
        self.leg_clock = LegClock()
        self.ear = Ear(rate_hz)
        self.input = RoomAudioInput(rate_hz)
        self._outgoing = Outgoing(room, caller_identity, lambda number: self.output.leaves(number))
        self.output = RoomAudioOutput(self._outgoing.put, rate_hz, clock)
        room.on("data_received", self._on_data)

    async def run(self) -> None:
        """Send what is queued until cancelled or the room is gone."""
        await self._outgoing.run()

    def open(self) -> None:
        """Nothing to do: the bridge keeps back what comes before the answer."""

    def close(self) -> None:
        """Stop listening and finish what was playing."""
        self._room.off("data_received", self._on_data)
        self.output.abandon()

    def _on_data(self, received: rtc.DataPacket) -> None:
        if received.topic != MEDIA_TOPIC or received.participant is None:
            return
        if received.participant.identity != self._caller_identity:
            self.dropped_packets += 1
            return
        try:
            packet = media.parse_up(bytes(received.data))
        except media.MediaError:
            self.dropped_packets += 1
            return
        match packet:
            case media.Heard():
                self.leg_clock.observe(packet.at_ms, self.clock())
                self.ear.hear(packet.pcm, packet.at_ms)
                self._bot_pcm += self.output.advance(
                    packet.segment, packet.played_samples, packet.at_ms
                )
                bot_pcm = bytes(self._bot_pcm)
                self._bot_pcm.clear()
                self.input.push(packet.pcm)
                self._on_audio(packet.at_ms, packet.pcm, bot_pcm)
            case media.Finished():
                self._bot_pcm += self.output.finish(
                    packet.segment,
                    packet.played_samples,
                    interrupted=packet.interrupted,
                    at_ms=self.leg_clock.ms_at(self.clock()),
                )
