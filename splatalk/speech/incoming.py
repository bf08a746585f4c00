"""Sound that is still coming: from a pipe or a microphone, in pieces, at the one rate that splatalk computes with."""

from __future__ import annotations

import dataclasses
import queue
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

import av
import numpy as np

from splatalk.errors import FormatError, UserError
from splatalk.speech.audio import SAMPLE_RATE

PIECE_S = 0.02
MAX_CHUNK = 1 << 16
"""Bytes of a chunk before the sound in a WAV header that are read over; none that means anything is larger."""

_ADVICE = "Send a WAV of 16 or 32 bits, or raw PCM: 16 bits, little-endian, one channel, at --rate."
_INTEGER, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE


@dataclasses.dataclass(frozen=True)
class PcmFormat:
    """How samples stand in a pipe: ``rate`` Hz, interleaved ``channels``, ``kind`` (a numpy type, little-endian)."""

    rate: int
    channels: int = 1
    kind: str = "<i2"

    def __post_init__(self) -> None:
        if not 4000 <= self.rate <= 192_000 or not 1 <= self.channels <= 8:
            raise FormatError(f"A sound of {self.rate} Hz with {self.channels} channels cannot be heard.", _ADVICE)

    @property
    def frame_bytes(self) -> int:
        return self.channels * np.dtype(self.kind).itemsize

    def decode(self, data: bytes) -> np.ndarray:
        """Whole frames -> (n,) float32 -1..1, channels averaged."""
        samples = np.frombuffer(data, self.kind).reshape(-1, self.channels)
        scale = 1.0 if samples.dtype.kind == "f" else 1.0 / -float(np.iinfo(samples.dtype).min)
        heard = np.nan_to_num(samples.astype(np.float32) * np.float32(scale), nan=0.0, posinf=1.0, neginf=-1.0)
        return np.asarray(np.clip(heard, -1.0, 1.0).mean(1), dtype=np.float32)


def from_pipe(pipe: BinaryIO, raw_rate: int = SAMPLE_RATE) -> Iterator[np.ndarray]:
    """Sound from a pipe until it ends: WAV if it begins like one, else raw 16-bit mono PCM at ``raw_rate``.

    Yields:
        (S,) float32 at 16 kHz, about 20 ms each.

    Raises:
        FormatError: a WAV of another kind, or damaged.
    """
    magic = _read(pipe, 12)
    if len(magic) == 12 and magic[:4] in (b"RIFF", b"RF64") and magic[8:] == b"WAVE":
        layout, begun = _wav_format(pipe), b""
    else:
        layout, begun = PcmFormat(raw_rate), magic
    resampler = Resampler(layout.rate)
    size = max(round(layout.rate * PIECE_S), 1) * layout.frame_bytes
    while data := begun + _read(pipe, size - len(begun)):
        begun = b""
        yield resampler(layout.decode(data[: len(data) // layout.frame_bytes * layout.frame_bytes]))
        if len(data) < size:
            break
    yield resampler.rest()


def _read(pipe: BinaryIO, size: int) -> bytes:
    """``size`` bytes, fewer only at the end."""
    data = b""
    while len(data) < size and (more := pipe.read(size - len(data))):
        data += more
    return data


def _wav_format(pipe: BinaryIO) -> PcmFormat:
    """Read a WAV header up to its samples. Their announced number is not believed: who streams does not know it."""
    layout: PcmFormat | None = None
    while True:
        head = _read(pipe, 8)
        if len(head) < 8:
            raise FormatError("The WAV ends before its sound.", _ADVICE)
        name, size = head[:4], struct.unpack("<I", head[4:])[0]
        if name == b"data":
            if layout is None:
                raise FormatError("The WAV does not say what its sound is like.", _ADVICE)
            return layout
        if size > MAX_CHUNK:
            raise FormatError("The WAV's header is damaged.", _ADVICE)
        body = _read(pipe, size + size % 2)
        if name == b"fmt ":
            layout = _parsed_format(body)


def _parsed_format(body: bytes) -> PcmFormat:
    if len(body) < 16:
        raise FormatError("The WAV's header is damaged.", _ADVICE)
    kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", body[:16])
    if kind == _EXTENSIBLE and len(body) >= 26:
        kind = struct.unpack("<H", body[24:26])[0]
    kinds = {(_INTEGER, 16): "<i2", (_INTEGER, 32): "<i4", (_FLOAT, 32): "<f4"}
    if (kind, bits) not in kinds:
        raise FormatError(f"A WAV of {bits} bits (format {kind}) cannot be heard live.", _ADVICE)
    return PcmFormat(rate, channels, kinds[kind, bits])


class Resampler:
    """Mono sound of any rate to 16 kHz, piece by piece."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._resampler = av.AudioResampler(format="fltp", layout="mono", rate=SAMPLE_RATE)

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """(n,) float32 at ``rate`` -> what of it can be had so far at 16 kHz."""
        if self.rate == SAMPLE_RATE or len(samples) == 0:
            return samples
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format="fltp", layout="mono")
        frame.sample_rate = self.rate
        return self._taken(frame)

    def rest(self) -> np.ndarray:
        """What was still held back, at the end."""
        return np.zeros(0, np.float32) if self.rate == SAMPLE_RATE else self._taken(None)

    def _taken(self, frame: av.AudioFrame | None) -> np.ndarray:
        pieces = [piece.to_ndarray()[0] for piece in self._resampler.resample(frame)]
        return np.concatenate([np.zeros(0, np.float32), *pieces]).astype(np.float32)


def from_microphone(stopped: Callable[[], bool]) -> Iterator[np.ndarray]:
    """Sound of the default microphone until ``stopped()``.

    Yields:
        (S,) float32 at 16 kHz, about 20 ms each; an empty one when nothing came for half a second.

    Raises:
        UserError: the sounddevice package, PortAudio or a microphone is missing.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the PortAudio library is missing
        raise UserError(
            f"The microphone cannot be used: {error}.", "Install PortAudio and: pip install sounddevice; or use a pipe."
        ) from error
    heard: queue.SimpleQueue[np.ndarray] = queue.SimpleQueue()
    try:
        stream = sounddevice.InputStream(
            SAMPLE_RATE, round(PIECE_S * SAMPLE_RATE), channels=1, dtype="float32",
            callback=lambda data, *_: heard.put(data[:, 0].copy()),
        )  # fmt: skip
    except (sounddevice.PortAudioError, ValueError) as error:
        raise UserError(f"There is no microphone: {error}.", "Connect one, or send sound through a pipe.") from error
    with stream:
        while not stopped():
            try:
                yield heard.get(timeout=0.5)
            except queue.Empty:
                yield np.zeros(0, np.float32)
