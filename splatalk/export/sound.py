"""The sound of a film, as it was recorded: its own rate, one or two channels."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import av
import librosa
import numpy as np

from splatalk.errors import FormatError
from splatalk.speech.audio import require_length

MAX_RATE = 48_000


@dataclasses.dataclass(frozen=True)
class Sound:
    """Samples (C, S) float32 in -1..1, C = 1 or 2, at ``rate`` Hz."""

    samples: np.ndarray
    rate: int

    @classmethod
    def mono(cls, samples: np.ndarray, rate: int = 16_000) -> Sound:
        """From samples (S,)."""
        return cls(np.asarray(samples, dtype=np.float32)[None], rate)

    @property
    def seconds(self) -> float:
        return self.samples.shape[1] / self.rate


def mixed(a: Sound, b: Sound) -> Sound:
    """Both at once, as long as the longer one, at the higher rate; quieter where the sum would clip."""
    rate, channels = max(a.rate, b.rate), max(len(a.samples), len(b.samples))
    parts = [
        s.samples if s.rate == rate else librosa.resample(s.samples, orig_sr=s.rate, target_sr=rate) for s in (a, b)
    ]
    out = np.zeros((channels, max(part.shape[1] for part in parts)), np.float32)
    for part in parts:
        out[:, : part.shape[1]] += part  # one channel sounds in both
    return Sound(out / max(float(np.abs(out).max(initial=0.0)), 1.0), rate)


def read_sound(path: Path, longest_s: float = math.inf) -> Sound:
    """Decode the first sound track of any container, at its own rate up to 48 kHz.

    Args:
        longest_s: seconds; a small file can hold days of silence.

    Raises:
        FormatError: not a sound file, no sound track, or nothing in it.
        UserError: longer than ``longest_s``.
    """
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise FormatError(f"{path} has no sound track.", "Give a file with sound, such as a WAV.")
            context = container.streams.audio[0].codec_context
            rate = min(context.sample_rate, MAX_RATE)
            layout = "mono" if context.layout.nb_channels == 1 else "stereo"
            resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
            blocks: list[np.ndarray] = []
            length = 0
            for frame in container.decode(audio=0):
                blocks += [b.to_ndarray() for b in resampler.resample(frame)]
                length += frame.samples
                require_length(path, length / context.sample_rate, longest_s)
            blocks += [b.to_ndarray() for b in resampler.resample(None)]
    except av.FFmpegError as error:
        raise FormatError(
            f"{path} cannot be read as sound: {error.strerror}.", "Give a WAV, MP3, M4A or FLAC."
        ) from error
    if not blocks:
        raise FormatError(f"{path} holds no sound.", "Give a file with sound, such as a WAV.")
    return Sound(np.concatenate(blocks, axis=1).astype(np.float32), rate)
