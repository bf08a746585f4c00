"""Figures about moving faces obey the laws that define them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splatalk.evaluate import motion

finite = st.floats(-200, 200)


def faces(n: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(100, 400, (n, 478, 2))


@given(finite, finite)
def test_lmd_ignores_where_the_mouth_is(dx: float, dy: float) -> None:
    a, b = faces(3, 0)[:, :40], faces(3, 1)[:, :40]
    moved = motion.landmark_distance(a + np.array([dx, dy]), b)
    np.testing.assert_allclose(moved, motion.landmark_distance(a, b), atol=1e-9)
    np.testing.assert_allclose(motion.landmark_distance(a + np.array([dx, dy]), a), 0, atol=1e-9)


def test_lmd_of_a_known_change() -> None:
    square = np.array([[[0.0, 0], [2, 0], [2, 2], [0, 2]]])
    assert motion.landmark_distance(square * 2, square)[0] == pytest.approx(math.sqrt(2))
    assert np.isnan(motion.landmark_distance(square * np.nan, square)[0])


def test_lmd_in_512_pixels_does_not_depend_on_the_size() -> None:
    a, b = faces(2, 0), faces(2, 1)
    small = motion.landmark_distance(motion.to_512(a / 2, 256), motion.to_512(b / 2, 256))
    np.testing.assert_allclose(small, motion.landmark_distance(motion.to_512(a, 512), motion.to_512(b, 512)))


@given(st.floats(0.1, 50), finite)
def test_correlation_is_one_for_a_straight_line(gain: float, shift: float) -> None:
    curve = np.sin(np.arange(40) / 3)
    assert motion.correlation(gain * curve + shift, curve) == pytest.approx(1)
    assert motion.correlation(-gain * curve + shift, curve) == pytest.approx(-1)


def test_correlation_skips_missing_frames_and_needs_variation() -> None:
    curve = np.sin(np.arange(40) / 3)
    holed = curve.copy()
    holed[::5] = np.nan
    assert motion.correlation(holed, curve) == pytest.approx(1)
    assert math.isnan(motion.correlation(np.ones(40), curve))
    assert math.isnan(motion.correlation(holed * np.nan, curve))


@given(st.integers(-10, 10), st.booleans())
def test_a_delay_is_found(delay: int, gaps: bool) -> None:
    noise = np.convolve(np.random.default_rng(5).normal(size=140), np.ones(3) / 3, "same")
    a, b = noise[20 - delay : 120 - delay], noise[20:120]
    kept = np.array([i for i in range(100) if not gaps or i % 9])
    lag, value = motion.best_lag(a[kept], b[kept], kept + 700)
    assert lag == delay
    assert value == pytest.approx(1)


def test_no_delay_in_nothing() -> None:
    lag, value = motion.best_lag(np.ones(30), np.ones(30), np.arange(30))
    assert lag == 0 and math.isnan(value)
    assert motion.best_lag(np.array([]), np.array([]), np.array([], int))[0] == 0


def test_wobble_counts_acceleration_only() -> None:
    frames = np.arange(12)
    steady = faces(1).repeat(12, 0) + frames[:, None, None] * (3.0, -1.0)
    assert motion.wobble(steady, frames) == pytest.approx(0, abs=1e-9)
    shaken = steady + ((-1.0) ** frames)[:, None, None] * (0.5, 0)
    assert motion.wobble(shaken, frames) == pytest.approx(2.0)
    assert math.isnan(motion.wobble(shaken, frames * 2))
    assert math.isnan(motion.wobble(shaken[:2], frames[:2]))


def test_blendshape_error_of_columns() -> None:
    a, b = np.zeros((4, 52)), np.zeros((4, 52))
    b[:, 3], b[0] = 0.5, np.nan
    assert motion.shape_error(a, b) == pytest.approx(0.5 / 52)
    assert motion.shape_error(a, b, (3,)) == pytest.approx(0.5)


def test_a_still_mouth_does_not_move() -> None:
    span = 0.1
    still = np.full(50, 0.02) + np.random.default_rng(0).normal(0, 1e-4, 50)
    assert motion.moving_share(still, span) == 0
    still[10:20] += 0.05
    assert motion.moving_share(still, span) == pytest.approx(0.2)
    assert motion.moving_share(still, span, rest=0.07) == pytest.approx(0.8)
    assert math.isnan(motion.moving_share(still, 0.0))


@given(st.floats(-4, 4))
def test_delays_are_found_between_frames(late: float) -> None:
    frames = np.arange(150)
    curves = [np.sin((frames - d) / 2.9) + 0.7 * np.sin((frames - d) / 4.7 + 1) for d in (late, 0.0)]
    lag, best = motion.fine_lag(curves[0], curves[1], frames)
    assert lag == pytest.approx(late, abs=0.05) and best == pytest.approx(1, abs=0.01)
    assert all(math.isnan(v) for v in motion.fine_lag(np.ones(150), curves[1], frames))


@given(st.floats(-1, 1), st.floats(0.5, 2), finite, finite)
def test_alignment_takes_off_turning_scaling_and_moving(angle: float, scale: float, dx: float, dy: float) -> None:
    reference = faces(3)
    turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    np.testing.assert_allclose(motion.aligned(reference @ turn.T + (dx, dy), reference), reference, atol=1e-6)


def test_face_sizes() -> None:
    face = np.zeros((1, 478, 2))
    face[0, motion.LEFT_EYE_OUTER], face[0, motion.FOREHEAD_TOP] = (3, 4), (0, 7)
    assert motion.eye_distance(face)[0] == 5
    assert motion.face_height(face)[0] == 7
