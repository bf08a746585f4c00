from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splatalk.speech import sync
from splatalk.speech.features import load
from splatalk.speech.prior import articulation
from splatalk.speech.sync import estimate_offset, moved


@pytest.fixture
def scene() -> tuple[np.ndarray, np.ndarray]:
    """Ten seconds of changing sound, and lips (250, 2) that follow it as the prior says, with noise."""
    rng = np.random.default_rng(0)
    steps = np.repeat(rng.uniform(0.0, 1.0, (100, 3)), 1600, 0)
    t = np.arange(160000) / 16000
    tones = np.stack([np.sin(2 * np.pi * f * t) for f in (250, 900, 2500)], 1)
    sound = (0.1 * (steps * tones).sum(1)).astype(np.float32)
    lips = articulation("mel", load("mel").extract(sound))[::2, :2]
    return sound, lips + rng.normal(0, lips.std(0), lips.shape)


@pytest.mark.parametrize("delay", [-0.28, -0.12, 0.16, 0.26])
def test_a_delay_is_found(scene: tuple[np.ndarray, np.ndarray], delay: float) -> None:
    sound, lips = scene
    got = estimate_offset(moved(sound, -delay), lips[:, 0], lips[:, 1], 25.0, encoder="mel")
    assert got.clear and abs(got.seconds - delay) <= 0.021


def test_sound_in_place_stays(scene: tuple[np.ndarray, np.ndarray]) -> None:
    sound, lips = scene
    got = estimate_offset(sound, lips[:, 0], lips[:, 1], 25.0, encoder="mel")
    assert got.seconds == 0.0 and got.score > 0.5


def test_no_evidence_no_move(scene: tuple[np.ndarray, np.ndarray]) -> None:
    sound, lips = scene
    strange = np.random.default_rng(5).normal(size=lips.shape)
    still = np.ones_like(lips)
    for wrong in (strange, still):
        got = estimate_offset(sound, wrong[:, 0], wrong[:, 1], 25.0, encoder="mel")
        assert not got.clear and got.seconds == 0.0
    assert not estimate_offset(np.zeros_like(sound), lips[:, 0], lips[:, 1], 25.0, encoder="mel").clear
    assert not estimate_offset(sound[:8000], lips[:12, 0], lips[:12, 1], 25.0, encoder="mel").clear


@given(n=st.integers(0, 400), seconds=st.floats(-0.05, 0.05))
def test_moving_keeps_length(n: int, seconds: float) -> None:
    assert len(moved(np.ones(n, np.float32), seconds)) == n


def test_moving_there_and_back() -> None:
    sound = np.arange(1000, dtype=np.float32)
    assert np.array_equal(moved(moved(sound, 0.01), -0.01)[160:], sound[160:])
    assert sync.MAX_LAG_S < 1.0
