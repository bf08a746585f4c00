"""Sound for browsers: AAC-LC in MP4.

Chromium, Firefox and Safari of every age decode it. Opus would be smaller at the same quality, but Safari reads it only
from 2024 on, and in containers that differ from version to version.
"""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np

from splatalk.errors import UserError
from splatalk.export.compact.model import EncodedSound
from splatalk.export.sound import Sound

BITRATE = 40_000
"""Bits per second; speech from one microphone needs no more."""
MAX_RATE = 32_000
"""Hz; with so few bits, what is above 16 kHz is better left out."""
MIME = "audio/mp4"


def encode_sound(sound: Sound, bitrate: int = BITRATE) -> EncodedSound:
    """Compress for a page: one channel.

    Args:
        sound: one or two channels at any rate.
        bitrate: bits per second.

    Raises:
        UserError: there is no sound in it.
    """
    mono = np.ascontiguousarray(sound.samples.mean(0, keepdims=True), dtype=np.float32)
    if mono.shape[1] == 0:
        raise UserError("The sound is empty.", "Give a file with at least one word in it.")
    rate = min(sound.rate, MAX_RATE)
    memory = io.BytesIO()
    with av.open(memory, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=rate, layout="mono", bit_rate=bitrate)
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=rate, frame_size=1024)
        frame = av.AudioFrame.from_ndarray(mono, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = sound.rate, 0, Fraction(1, sound.rate)
        for block in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(block))
        container.mux(stream.encode(None))
    return EncodedSound(memory.getvalue(), MIME, sound.seconds)
