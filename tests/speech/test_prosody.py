"""Pitch of long sound, in pieces."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from splatalk.speech import SAMPLE_RATE
from splatalk.speech.prosody import pitch_and_voicing


@pytest.mark.parametrize("hertz", [110.0, 220.0])
def test_memory_grows_little_with_the_sound(hertz: float) -> None:
    t = np.arange(60 * SAMPLE_RATE) / SAMPLE_RATE
    sound = (np.sin(2 * np.pi * hertz * t) * (np.sin(4.0 * t) > 0)).astype(np.float32)
    pitch_and_voicing(sound[:1600])  # what is loaded once does not count
    tracemalloc.start()
    octaves, voicing = pitch_and_voicing(sound)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6  # all windows at once took 300 MB
    assert len(octaves) == len(voicing) == 6000
    assert abs(octaves[voicing > 0.9]).max() < 0.05  # the same at every joint
