"""Bringing high-dynamic-range pictures, as phones record them, to sRGB."""

from __future__ import annotations

import numpy as np

_WHITE_NITS = 203.0  # ITU-R BT.2408: the level of diffuse white
# BT.2020 to BT.709 primaries in linear light (ITU-R BT.2087 annex 2).
_TO_709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)


def _srgb_codes(steps: int) -> np.ndarray:
    """(steps,) uint8 sRGB codes of linear light from 0 to 1."""
    light = np.linspace(0.0, 1.0, steps)
    codes = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)
    return (codes * 255.0 + 0.5).astype(np.uint8)


_SRGB = _srgb_codes(1 << 14)


def to_standard_range(picture: np.ndarray, *, hybrid_log_gamma: bool) -> np.ndarray:
    """Tone-map one picture.

    Args:
        picture: (H, W, 3) uint8 or uint16 over their whole range, R'G'B' of BT.2100 with BT.2020 primaries.
        hybrid_log_gamma: the curve is HLG; PQ otherwise.

    Returns:
        (H, W, 3) uint8 sRGB: diffuse white becomes nearly white, highlights roll off.
    """
    if picture.dtype == np.uint16:
        picture = picture >> 4  # twelve bits are finer than any such video
    signal = np.arange(256 if picture.dtype == np.uint8 else 4096)
    linear = (_hlg_to_linear if hybrid_log_gamma else _pq_to_linear)(signal / signal[-1]).astype(np.float32)
    light = np.maximum(linear[picture] @ _TO_709.T, 0.0)
    peak = np.maximum(light.max(axis=-1, keepdims=True), 1e-6)
    light *= _shoulder(peak) / peak  # scaling by the largest channel keeps the hue
    return _SRGB[(light * (len(_SRGB) - 1) + 0.5).astype(np.int32)]


def _shoulder(x: np.ndarray, knee: float = 0.75) -> np.ndarray:
    """Identity up to ``knee``, then a smooth approach to 1."""
    over = np.maximum(x - knee, 0.0) / (1.0 - knee)
    return np.where(x <= knee, x, knee + (1.0 - knee) * over / (1.0 + over))


def _pq_to_linear(signal: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084 EOTF, diffuse white = 1."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = signal ** (1 / m2)
    return 10000.0 / _WHITE_NITS * (np.maximum(power - c1, 0.0) / (c2 - c3 * power)) ** (1 / m1)


def _hlg_to_linear(signal: np.ndarray) -> np.ndarray:
    """ITU-R BT.2100 HLG inverse OETF with the 1000 nit system gamma of 1.2, diffuse white (75 % signal) = 1."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3.0, (np.exp((signal - c) / a) + b) / 12.0)
    return scene**1.2 * 1000.0 / _WHITE_NITS
