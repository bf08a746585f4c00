"""Sound as a WAV file, 16-bit PCM."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from splatalk.export.sound import Sound


def write_wav(path: Path, sound: Sound) -> None:
    """Write all of a sound. The caller sees to it that ``path`` is a temporary name."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(sound.samples.shape[0])
        file.setsampwidth(2)
        file.setframerate(sound.rate)
        file.writeframes((np.clip(sound.samples.T, -1, 1) * 32767).round().astype("<i2").tobytes())
