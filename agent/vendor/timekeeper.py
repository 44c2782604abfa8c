"""Puts a vendor's word times on the utterance's clock.

ElevenLabs counts characters' times from the start of each message, while the plug-in takes them for
times in the whole utterance; so every word would seem to be said in its first second, and a line
that was cut off seem to be heard in full. Here the audio itself is the clock. Times that do run on
are left as they are.
"""

from __future__ import annotations

from livekit.agents import tts
from livekit.agents.types import NotGivenOr, TimedString

_SLACK_S = 0.05


class Timekeeper:
    """An `AudioEmitter` to the plug-in; passes everything on, words with their times mended.

    A message's words come just before its audio. The first of them was begun in an earlier message,
    unless it is the utterance's first; the last call, before the segment's end, brings no message
    but the word that was left over.
    """

    def __init__(self, emitter: tts.AudioEmitter, rate_hz: int) -> None:
        self._emitter = emitter
        self._bytes_per_s = 2 * rate_hz
        self._made_bytes = 0
        self._waiting: list[TimedString] | None = None
        self._begun_at_s: float | None = None
        self._runs_on = True

    def initialize(
        self,
        *,
        request_id: str,
        sample_rate: int,
        num_channels: int,
        mime_type: str,
        stream: bool = False,
    ) -> None:
        self._emitter.initialize(
            request_id=request_id,
            sample_rate=sample_rate,
            num_channels=num_channels,
            mime_type=mime_type,
            stream=stream,
        )

    def start_segment(self, *, segment_id: str) -> None:
        self._emitter.start_segment(segment_id=segment_id)

    def push_timed_transcript(self, words: list[TimedString]) -> None:
        """Hold words back until it is clear whether audio follows them."""
        self._waiting = [*(self._waiting or []), *words]

    def push(self, audio: bytes) -> None:
        if self._waiting is not None:
            self._place(self._waiting)
        self._emitter.push(audio)
        self._made_bytes += len(audio)

    def end_segment(self) -> None:
        if self._waiting:
            self._place_last(self._waiting)
        self._emitter.end_segment()

    def _place(self, words: list[TimedString]) -> None:
        """Pass on the words that a message has completed; its audio begins here."""
        here_s = self._made_bytes / self._bytes_per_s
        self._waiting = None
        if words and _seconds(words[0].end_time) + _SLACK_S < here_s:
            self._runs_on = False
        if self._runs_on:
            self._emitter.push_timed_transcript(words)
        elif words:
            first, *others = words
            begun_at_s = here_s if self._begun_at_s is None else self._begun_at_s
            placed = [_timed(first, begun_at_s, here_s)]
            placed += [_timed(word, here_s, here_s) for word in others]
            self._emitter.push_timed_transcript(placed)
        if words or self._begun_at_s is None:
            self._begun_at_s = here_s

    def _place_last(self, words: list[TimedString]) -> None:
        """Pass on the word that was left over when the last audio had come."""
        self._waiting = None
        origin_s = 0.0 if self._runs_on else self._begun_at_s or 0.0
        ended_s = self._made_bytes / self._bytes_per_s
        placed = [
            TimedString(
                str(word),
                start_time=min(origin_s + _seconds(word.start_time), ended_s),
                end_time=ended_s,
            )
            for word in words
        ]
        self._emitter.push_timed_transcript(placed)


def _timed(word: TimedString, begun_in_s: float, ended_in_s: float) -> TimedString:
    return TimedString(
        str(word),
        start_time=begun_in_s + _seconds(word.start_time),
        end_time=ended_in_s + _seconds(word.end_time),
    )


def _seconds(time_s: NotGivenOr[float]) -> float:
    return time_s if isinstance(time_s, float | int) else 0.0
