"""What is measured of the picture, on pictures whose truth is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from splatalk.avatar.controls import BLENDSHAPES
from splatalk.capture import seeing
from splatalk.capture.measurements import Measurements


def face(sigma: float) -> np.ndarray:
    """Dark discs on a bright ground, 200 × 200, drawn large and made small so that edges are as sharp as can be."""
    large = np.full((1600, 1600), 190, np.uint8)
    for x, y, r in ((500, 600, 130), (1100, 600, 130), (800, 1150, 240), (800, 850, 70)):
        cv2.circle(large, (x, y), r, 60, -1)
    small = cv2.resize(large, (200, 200), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (0, 0), sigma) if sigma else small


@pytest.mark.parametrize("sigma", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("contrast", [1.0, 0.3])
def test_blur_is_measured_whatever_the_contrast(sigma, contrast):
    picture = (contrast * face(sigma)).round().astype(np.uint8)
    assert seeing.blur(picture) == pytest.approx(sigma, rel=0.25, abs=0.25)


def test_grain_does_not_pass_for_sharpness():
    rng = np.random.default_rng(0)
    for contrast, noise, expected in ((0.6, 3.0, 2.0), (0.2, 7.0, None)):
        dark = contrast * face(2.0) + rng.normal(0, noise, (200, 200))
        told = seeing.blur(np.clip(dark, 0, 255).astype(np.uint8))
        assert told == (expected if expected is None else pytest.approx(expected, rel=0.3))


def test_a_sharp_picture_with_grain_stays_sharp():
    noisy = face(0.0) + np.random.default_rng(0).normal(0, 5, (200, 200))
    assert seeing.blur(np.clip(noisy, 0, 255).astype(np.uint8)) < 0.8
    assert seeing.blur(np.full((64, 64), 90, np.uint8)) is None


@pytest.mark.parametrize("sigma", [0.0, 3.0, 8.0])
def test_grain_is_measured_beside_edges(sigma):
    noisy = face(1.0) + np.random.default_rng(0).normal(0, sigma, (200, 200))
    assert seeing.grain(np.clip(noisy, 0, 255).round().astype(np.uint8)) == pytest.approx(sigma, rel=0.15, abs=0.5)


def rows(brightness: np.ndarray, found: np.ndarray | None = None) -> Measurements:
    n = len(brightness)
    found = np.ones(n, bool) if found is None else found
    return Measurements(np.zeros((n, 1, 1)), np.zeros((n, 52)), found, np.ones(n), brightness, np.full(n, 0.01))


def test_light_that_drifts_is_told_from_light_that_flickers():
    n = 500
    slow = seeing.light(rows(np.linspace(80, 120, n)), np.zeros(n), 25.0)
    assert slow["drift"] == pytest.approx(0.38, abs=0.04) and slow["flicker"] < 0.01
    fast = seeing.light(rows(100 + 5.0 * (np.arange(n) % 2)), np.zeros(n), 25.0)
    assert fast["drift"] < 0.06 and fast["flicker"] > 0.05


def test_a_head_turned_aside_is_no_drift():
    yaw = np.where(np.arange(500) > 400, 30.0, 0.0)
    assert seeing.light(rows(np.where(yaw > 0, 40.0, 100.0)), yaw, 25.0)["drift"] == 0.0


def turned(yaw_deg: np.ndarray, pitch_deg: np.ndarray) -> np.ndarray:
    """(N, 4, 4) of a head 0.6 m away; positive yaw shows the subject's right side less, positive pitch is up."""
    out = np.tile(np.eye(4), (len(yaw_deg), 1, 1))
    for k, (yaw, pitch) in enumerate(zip(np.radians(yaw_deg), np.radians(pitch_deg))):
        aside = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
        up = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
        out[k, :3, :3] = aside @ up
        out[k, :3, 3] = (0, 0, 0.6)
    return out


def test_reach_and_coverage_of_a_known_motion():
    t = np.arange(1000) / 1000
    poses = turned(10 + 20 * np.sin(2 * np.pi * t), 3 + 8 * np.cos(2 * np.pi * 5 * t))
    angles = np.degrees(seeing.head_angles(poses))
    told = seeing.reached(angles, 25.0)
    assert told["left_deg"] == pytest.approx(30, abs=0.5) and told["right_deg"] == pytest.approx(10, abs=0.5)
    assert told["up_deg"] == pytest.approx(8, abs=0.3) and told["down_deg"] == pytest.approx(8, abs=0.3)
    assert sum(cell[2] for cell in told["coverage"]) == pytest.approx(40.0, abs=0.3)


def test_nobody_turns_further_than_to_one_side():
    told = seeing.reached(np.tile([12.0, 0.0, 0.0], (50, 1)), 25.0)
    assert told["right_deg"] == 0.0 and told["left_deg"] == 12.0 and len(told["coverage"]) == 1


def test_wobble_is_that_of_the_noise():
    rng = np.random.default_rng(0)
    poses = turned(np.zeros(2000), np.zeros(2000))
    assert seeing.wobble(poses, 900.0) == {"rotation_deg": 0.0, "translation_mm": 0.0, "px": 0.0}
    poses[:, :2, 3] += rng.normal(0, 1e-4, (2000, 2))  # second differences of white noise: sqrt(6) times as large
    told = seeing.wobble(poses, 900.0)
    assert told["translation_mm"] == pytest.approx(0.1 * np.sqrt(12), rel=0.05)
    assert told["px"] == pytest.approx(900 * 1e-4 / 0.6 * np.sqrt(12), rel=0.05)


def test_blinks_need_both_eyes():
    shapes = np.zeros((100, 52))
    left, right = (BLENDSHAPES.index(f"eyeBlink{side}") for side in ("Left", "Right"))
    shapes[10:14, [left, right]] = 0.8
    shapes[40:44, left] = 0.9
    shapes[70:72, [left, right]] = 0.6
    assert seeing.blinks(shapes) == 2
