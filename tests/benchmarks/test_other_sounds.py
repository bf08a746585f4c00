"""Sounds without speech are drawn in great variety, and the same again from the same seed."""

from __future__ import annotations

import numpy as np

from benchmarks import other_sounds


def test_they_are_loud_finite_and_repeatable() -> None:
    n = 32_000
    for seed in range(12):
        a, b = (other_sounds.sound(np.random.default_rng(seed), n) for _ in range(2))
        np.testing.assert_array_equal(a, b)
        assert a.shape == (n,) and a.dtype == np.float32
        assert np.isclose(np.abs(a).max(), other_sounds.PEAK, rtol=1e-3)


def test_a_room_and_a_microphone_change_them() -> None:
    heard = [other_sounds.somewhere(np.random.default_rng(seed), 32_000) for seed in range(6)]
    assert all(np.isfinite(x).all() and x.shape == (32_000,) for x in heard)
    assert len({round(float(np.abs(x).max()), 6) for x in heard}) == len(heard)
