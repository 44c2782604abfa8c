"""Moonshine tiny (English): turns 16 kHz speech into text with onnxruntime alone.

The weights lie inside the `moonshine-voice` wheel. That package is never imported: it would pull in
a native library and a downloader, and its own transcriber cuts digit strings at pauses.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

RATE_HZ = 16_000
_PADDING = (RATE_HZ // 10, RATE_HZ // 5)
"""Silence added before and after: where speech begins or ends with the audio, the model drops the
first digit of a number or says the last ones twice."""

_TOKENS_PER_S = 6.5
_SPARE_TOKENS = 8
_START, _END = 1, 2
_KEY_PREFIX = "past_key_values"

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Decoded:
    """What was said, and how sure the model is: the mean probability of its tokens, 0 to 1."""

    text: str
    confidence: float


class WeightsMissing(Exception):
    """The model files are not where the wheel puts them: reinstall `moonshine-voice==0.1.0` (later
    ones lack them).

    Attributes:
        path: the folder that was looked for.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(f"no Moonshine weights in {path}")
        self.path = path


def weights_path() -> Path:
    """Return the folder of the wheel that holds the weights.

    Raises:
        WeightsMissing: the wheel is absent or of a version without weights.
    """
    spec = importlib.util.find_spec("moonshine_voice")
    root = Path(spec.origin).parent if spec is not None and spec.origin else Path("moonshine_voice")
    path = root / "assets" / "tiny-en"
    if not (path / "encoder_model.ort").is_file():
        raise WeightsMissing(path)
    return path


@cache
def load_moonshine() -> Moonshine:
    """Return the process's one model; the first call takes 0.3-0.6 s."""
    return Moonshine(weights_path())


class Moonshine:
    """The model: two onnxruntime sessions of one thread each, safe to call from several threads
    at once.
    """

    def __init__(self, path: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # The arena keeps its high-water mark for the whole call; without it a process is 13 MB
        # smaller, 5 % slower.
        options.enable_cpu_mem_arena = False
        self._encoder = _session(path / "encoder_model.ort", options)
        self._decoder = _session(path / "decoder_model_merged.ort", options)
        self._past = {
            node.name: np.zeros((1, node.shape[1], 0, node.shape[3]), np.float32)
            for node in self._decoder.get_inputs()
            if node.name.startswith(_KEY_PREFIX)
        }
        self._presents = [
            node.name.replace("present", _KEY_PREFIX) for node in self._decoder.get_outputs()[1:]
        ]
        self._pieces = _pieces((path / "tokenizer.bin").read_bytes())

    def decode(self, samples: Samples, stop: Event | None = None) -> Decoded:
        """Return what `samples` (mono, 16 kHz, -1 to 1) say.

        Args:
            samples: any length; cost grows with it, so callers bound it (about 20 ms a second, one
                core).
            stop: once set, decoding breaks off at the next token and returns what it has.
        """
        samples = np.pad(samples, _PADDING)
        audio = samples[None]
        # The decoder wants the mask at the length of the raw audio, not of the encoder's output:
        # with the latter it works on short clips and crashes from about 9 s.
        mask = np.ones(audio.shape, np.int64)
        (hidden,) = self._encoder.run(None, {"input_values": audio, "attention_mask": mask})
        past = dict(self._past)
        feed = {"encoder_hidden_states": hidden, "encoder_attention_mask": mask}
        ids: list[int] = []
        scores: list[float] = []
        token, cached = _START, False
        # The cap ends the loops the model falls into on noise.
        for _ in range(int(samples.size / RATE_HZ * _TOKENS_PER_S) + _SPARE_TOKENS):
            if stop is not None and stop.is_set():
                break
            feed["input_ids"] = np.array([[token]], np.int64)
            feed["use_cache_branch"] = np.array([cached])
            logits, *presents = self._decoder.run(None, feed | past)
            token, score = _best(logits[0, -1])
            if token == _END:
                break
            ids.append(token)
            scores.append(score)
            for name, value in zip(self._presents, presents, strict=True):
                # The encoder's keys are computed in the first step only.
                if not cached or ".decoder." in name:
                    past[name] = value
            cached = True
        return Decoded(self._text(ids), float(np.exp(np.mean(scores))) if scores else 0.0)

    def _text(self, ids: list[int]) -> str:
        data = b"".join(self._pieces[token] for token in ids if token > _END)
        return data.decode("utf-8", "replace").replace("\u2581", " ").strip()


def _session(path: Path, options: Any) -> Any:
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _best(logits: Samples) -> tuple[int, float]:
    """Return the likeliest token and its log probability."""
    token = int(np.argmax(logits))
    peak = logits[token]
    return token, -float(np.log(np.exp(logits - peak).sum()))


def _pieces(data: bytes) -> list[bytes]:
    """Return the tokenizer's pieces: each is prefixed by its length, in one byte or (from 128)
    two.
    """
    pieces: list[bytes] = []
    at = 0
    while at < len(data):
        size = data[at]
        at += 1
        if size >= 128:
            size = data[at] * 128 + size - 128
            at += 1
        pieces.append(data[at : at + size])
        at += size
    return pieces
