"""Image metrics obey the laws that define them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from splatalk.errors import AssetError
from splatalk.evaluate import metrics
from splatalk.kernels.ssim import ssim_map
from splatalk.train.perceptual import Lpips


def picture(seed: int = 0, height: int = 48, width: int = 56) -> np.ndarray:
    """Smooth colours with some grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / (5 + c) + seed) * np.cos(y / (7 - c)) for c in range(3)], axis=-1)
    return np.clip(128 + 80 * waves + rng.normal(0, 4, waves.shape), 0, 255).astype(np.uint8)


@given(st.integers(1, 100))
def test_psnr_of_a_known_error(step: int) -> None:
    dark = np.full((8, 9, 3), 50, np.uint8)
    assert metrics.psnr(dark + np.uint8(step), dark) == pytest.approx(20 * math.log10(255 / step), abs=1e-4)


def test_psnr_of_gaussian_noise() -> None:
    noise = np.random.default_rng(1).normal(0, 8, (200, 200, 3))
    noisy = np.clip(np.round(128 + noise), 0, 255).astype(np.uint8)
    assert metrics.psnr(noisy, np.full_like(noisy, 128)) == pytest.approx(20 * math.log10(255 / 8), abs=0.1)


def test_psnr_of_equal_images_is_infinite() -> None:
    assert metrics.psnr(picture(), picture()) == math.inf


def test_weights_choose_what_counts() -> None:
    truth = picture()
    image = truth.copy()
    image[:, :20] ^= 255
    right = np.zeros(truth.shape[:2])
    right[:, 20:] = 1
    assert metrics.psnr(image, truth, right) == math.inf
    assert metrics.psnr(image, truth, 1 - right) == pytest.approx(metrics.psnr(image[:, :20], truth[:, :20]), abs=1e-4)
    assert math.isnan(metrics.psnr(image, truth, np.zeros_like(right)))


def direct_ssim(a: np.ndarray, b: np.ndarray, row: int, column: int) -> float:
    """Wang's formula at one pixel, straight from the paper."""
    offsets = np.arange(-5, 6)
    w = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    w /= w.sum()
    out = []
    for c in range(3):
        x, y = (i[row - 5 : row + 6, column - 5 : column + 6, c] / 255.0 for i in (a, b))
        mx, my = (w * x).sum(), (w * y).sum()
        vx, vy, cov = (w * (x - mx) ** 2).sum(), (w * (y - my) ** 2).sum(), (w * (x - mx) * (y - my)).sum()
        out.append((2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4)))
    return float(np.mean(out))


@settings(max_examples=20, deadline=None)
@given(st.integers(5, 42), st.integers(5, 50), st.integers(0, 9))
def test_ssim_is_the_papers_formula(row: int, column: int, seed: int) -> None:
    a, b = picture(seed), picture(seed + 1)
    assert metrics.ssim_map(a, b)[row, column] == pytest.approx(direct_ssim(a, b, row, column), abs=1e-9)


def test_ssim_laws() -> None:
    a, b = picture(0), picture(3)
    same, map_ab = metrics.ssim_map(a, a), metrics.ssim_map(a, b)
    inside = (slice(5, -5),) * 2
    np.testing.assert_allclose(same[inside], 1.0)
    np.testing.assert_allclose(map_ab[inside], metrics.ssim_map(b, a)[inside])
    assert np.isnan(map_ab[:5]).all() and np.isnan(map_ab[:, -5:]).all() and np.isfinite(map_ab[inside]).all()
    assert float(np.nanmax(map_ab)) <= 1.0


def test_ssim_agrees_with_the_training_kernel_inside_the_border() -> None:
    a, b = picture(0), picture(3)
    trained = ssim_map(torch.from_numpy(a).double() / 255, torch.from_numpy(b).double() / 255)
    inner = trained.mean(dim=2).numpy()[5:-5, 5:-5]
    np.testing.assert_allclose(metrics.ssim_map(a, b)[5:-5, 5:-5], inner, atol=1e-9)


def test_lpips_is_symmetric_and_grows_with_blur() -> None:
    import cv2

    try:
        metric = Lpips()
    except AssetError as e:
        pytest.skip(f"LPIPS IS NOT TESTED: {e}")
    a = picture(0, 80, 80)
    slight, strong = cv2.GaussianBlur(a, (0, 0), 1), cv2.GaussianBlur(a, (0, 0), 4)
    assert metrics.lpips(metric, a, a) == 0
    assert metrics.lpips(metric, a, strong) == pytest.approx(metrics.lpips(metric, strong, a), rel=1e-5)
    assert 0 < metrics.lpips(metric, slight, a) < metrics.lpips(metric, strong, a)


def test_regions_differ_when_only_the_face_does() -> None:
    truth = picture(0, 96, 96)
    image = truth.copy()
    image[20:60, 20:60] = 255 - image[20:60, 20:60]
    matte = np.zeros((96, 96))
    matte[10:, 10:80] = 1
    out = metrics.image_metrics(image, truth, matte, (20, 20, 60, 60), None)
    assert out["psnr_face"] < out["psnr_person"] < out["psnr_full"]
    assert out["ssim_face"] < out["ssim_person"] < out["ssim_full"]
    assert "lpips_full" not in out
    assert "psnr_face" not in metrics.image_metrics(image, truth, matte, None, None)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=4, max_size=4))
def test_a_pixel_box_lies_inside_the_image(box: list[float]) -> None:
    found = metrics.pixel_box(np.array(box), 300, 200)
    if found is not None:
        x0, y0, x1, y1 = found
        assert 0 <= x0 < x1 <= 300 and 0 <= y0 < y1 <= 200


def test_sizes_are_checked() -> None:
    with pytest.raises(ValueError, match="alike"):
        metrics.psnr(picture(0, 20, 20), picture(0, 20, 21))
    with pytest.raises(ValueError, match="11"):
        metrics.ssim_map(picture(0, 10, 20), picture(0, 10, 20))
