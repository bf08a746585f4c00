"""How far one image is from another: PSNR, SSIM and LPIPS, over the full frame, the person, or the face box.

Images are (H, W, 3) uint8; weights, where asked for, (H, W) in 0..1. Distances are computed on sRGB values in 0..1.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch

from splatalk.train.perceptual import MIN_SIDE, Lpips

SSIM_RADIUS = 5
_SSIM_SIGMA, _C1, _C2 = 1.5, 0.01**2, 0.03**2


def psnr(image: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio, -10 log10 of the mean squared error, in dB; infinite for equal images.

    Args:
        image, truth: (H, W, 3) uint8.
        weights: (H, W) how much each pixel counts; None counts all alike.

    Returns:
        dB; NaN when the weights are all zero.
    """
    _same_size(image, truth)
    squared = ((image.astype(np.float32) - truth.astype(np.float32)) / 255.0) ** 2
    error = weighted_mean(squared.mean(axis=2), weights)
    return math.inf if error == 0 else -10.0 * math.log10(error)


def ssim_map(image: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Structural similarity around every pixel (Wang et al. 2004, eq. 13; 11x11 Gaussian window, sigma 1.5).

    Each colour channel by itself, then their mean.

    Args:
        image, truth: (H, W, 3) uint8, sides of at least 11 pixels.

    Returns:
        (H, W) float64, at most 1. The outermost ``SSIM_RADIUS`` pixels, whose window leaves the image, are NaN.
    """
    _same_size(image, truth)
    if min(image.shape[:2]) <= 2 * SSIM_RADIUS:
        raise ValueError(f"SSIM needs sides of at least {2 * SSIM_RADIUS + 1} pixels, got {image.shape[:2]}")
    a, b = image.astype(np.float64) / 255.0, truth.astype(np.float64) / 255.0
    mean_a, mean_b = _window(a), _window(b)
    var_a = _window(a * a) - mean_a**2
    var_b = _window(b * b) - mean_b**2
    covariance = _window(a * b) - mean_a * mean_b
    values = (2 * mean_a * mean_b + _C1) * (2 * covariance + _C2)
    values /= (mean_a**2 + mean_b**2 + _C1) * (var_a + var_b + _C2)
    out = np.full(image.shape[:2], np.nan)
    inner = (slice(SSIM_RADIUS, -SSIM_RADIUS),) * 2
    out[inner] = values.mean(axis=2)[inner]
    return out


def _window(x: np.ndarray) -> np.ndarray:
    offsets = np.arange(-SSIM_RADIUS, SSIM_RADIUS + 1)
    kernel = np.exp(-0.5 * (offsets / _SSIM_SIGMA) ** 2)
    kernel /= kernel.sum()
    return cv2.sepFilter2D(x, cv2.CV_64F, kernel, kernel)


def weighted_mean(values: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Mean of an (H, W) map where it is a number; NaN when nothing counts."""
    counted = np.isfinite(values)
    if weights is not None:
        counted = counted & (weights > 0)
    if not counted.any():
        return math.nan
    if weights is None:
        return float(values[counted].mean(dtype=np.float64))
    return float(np.average(values[counted].astype(np.float64), weights=weights[counted].astype(np.float64)))


def crop(image: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """Cut (x0, y0, x1, y1) out of an image."""
    x0, y0, x1, y1 = box
    return image[y0:y1, x0:x1]


def pixel_box(box: np.ndarray, width: int, height: int) -> tuple[int, int, int, int] | None:
    """Whole pixels of a box x0, y0, x1, y1 that lie inside the image; None when too few for LPIPS."""
    if not np.isfinite(box).all():
        return None
    x0, y0 = max(math.floor(box[0]), 0), max(math.floor(box[1]), 0)
    x1, y1 = min(math.ceil(box[2]), width), min(math.ceil(box[3]), height)
    return (x0, y0, x1, y1) if min(x1 - x0, y1 - y0) >= MIN_SIDE else None


def lpips(metric: Lpips, image: np.ndarray, truth: np.ndarray) -> float:
    """LPIPS v0.1 with AlexNet (Zhang et al. 2018) of one (H, W, 3) uint8 image."""
    _same_size(image, truth)
    with torch.no_grad():
        return float(metric(_tensor(image), _tensor(truth)))


def _tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 255.0


def image_metrics(
    image: np.ndarray,
    truth: np.ndarray,
    matte: np.ndarray,
    box: tuple[int, int, int, int] | None,
    metric: Lpips | None,
) -> dict[str, float]:
    """All image metrics of one frame.

    Args:
        image, truth: (H, W, 3) uint8.
        matte: (H, W) float, 1 where the person is.
        box: the face in pixels x0, y0, x1, y1; None leaves the face's metrics out.
        metric: LPIPS; None leaves it out.

    Returns:
        ``psnr_full``, ``psnr_person``, ``psnr_face``, ``ssim_…`` of the same three, ``lpips_full``, ``lpips_face``.
    """
    similarity = ssim_map(image, truth)
    out = {
        "psnr_full": psnr(image, truth),
        "psnr_person": psnr(image, truth, matte),
        "ssim_full": weighted_mean(similarity),
        "ssim_person": weighted_mean(similarity, matte),
    }
    if metric is not None:
        out["lpips_full"] = lpips(metric, image, truth)
    if box is not None:
        out["psnr_face"] = psnr(crop(image, box), crop(truth, box))
        out["ssim_face"] = weighted_mean(crop(similarity, box))
        if metric is not None:
            out["lpips_face"] = lpips(metric, crop(image, box), crop(truth, box))
    return out


def _same_size(image: np.ndarray, truth: np.ndarray) -> None:
    if image.shape != truth.shape or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"images must be (H, W, 3) and alike, got {image.shape} and {truth.shape}")
