"""Sound as a WAV file, 16-bit PCM."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np

from splatalk.export.sound import Sound


def wav_bytes(sound: Sound) -> bytes:
    """A whole file in memory."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(sound.samples.shape[0])
        file.setsampwidth(2)
        file.setframerate(sound.rate)
        file.writeframes((np.clip(sound.samples.T, -1, 1) * 32767).round().astype("<i2").tobytes())
    return out.getvalue()


def write_wav(path: Path, sound: Sound) -> None:
    """Write all of a sound. The caller sees to it that ``path`` is a temporary name."""
    path.write_bytes(wav_bytes(sound))
