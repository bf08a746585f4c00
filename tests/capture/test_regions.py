"""The inside of the mouth is where the inner lips say."""

from __future__ import annotations

import numpy as np
import pytest

from splatalk.avatar.face_mesh import LIPS_INNER
from splatalk.capture.regions import mouth_region


def lips(opening: float) -> np.ndarray:
    """Landmarks whose inner lips are an ellipse about (40, 30), 20 pixels wide and ``opening`` pixels high."""
    landmarks = np.zeros((478, 2))
    angle = np.pi + np.arange(20) / 20 * 2 * np.pi
    landmarks[list(LIPS_INNER)] = np.stack([40 + 10 * np.cos(angle), 30 + opening / 2 * np.sin(angle)], axis=1)
    return landmarks


@pytest.mark.parametrize("opening", [6.0, 12.0])
def test_the_region_has_the_area_of_the_opening(opening: float) -> None:
    region = mouth_region(lips(opening), (64, 80))
    area = np.pi * 10 * opening / 2
    assert region.shape == (64, 80) and region.max() == 1.0
    assert abs(region.sum() - area) < 0.12 * area
    y, x = np.mgrid[:64, :80] + 0.5
    assert abs((region * x).sum() / region.sum() - 40) < 0.3 and abs((region * y).sum() / region.sum() - 30) < 0.3


def test_closed_lips_leave_next_to_nothing_and_lips_outside_the_picture_nothing() -> None:
    assert mouth_region(lips(0.0), (64, 80)).sum() < 8
    assert mouth_region(lips(8.0) + 500, (64, 80)).sum() == 0
