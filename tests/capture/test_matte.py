"""A coarse mask is drawn to the edges of the picture."""

from __future__ import annotations

import numpy as np
import pytest

from splatalk.capture import matte


@pytest.mark.parametrize("size", [(128, 128), (96, 161)])
def test_the_mask_moves_to_the_edge_of_the_picture(size: tuple[int, int]) -> None:
    height, width = size
    y, x = (np.mgrid[:height, :width] + 0.5) * np.array([1 / height, 1 / width])[:, None, None]
    person = (x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.09
    picture = np.where(person[..., None], (170, 120, 90), (40, 60, 110)).astype(np.uint8)
    coarse = (np.mgrid[:64, :64] + 0.5) / 64
    blurred = 1 / (1 + np.exp((np.hypot(coarse[1] - 0.5, coarse[0] - 0.5) - 0.3) * 60)).astype(np.float32)
    alpha = matte.refine(picture, blurred, radius=0.05)
    assert alpha.shape == size and alpha.min() >= 0.0 and alpha.max() <= 1.0
    assert ((alpha > 0.5) & person).sum() / ((alpha > 0.5) | person).sum() > 0.985
    sharp = np.abs(np.diff(alpha[height // 2])).max()
    assert sharp > 0.4  # the coarse mask takes several pixels for that


def test_flat_pictures_keep_the_mask() -> None:
    coarse = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
    alpha = matte.refine(np.full((64, 64, 3), 128, np.uint8), coarse)
    assert np.abs(alpha[32, 8:-8] - np.clip((coarse[32, 8:-8] - 0.12) / 0.76, 0, 1)).max() < 0.08


def test_one_frame_of_flicker_is_halved() -> None:
    still, flash = np.zeros((4, 4), np.float32), np.ones((4, 4), np.float32)
    assert (matte.steady(still, flash, still) == 0.5).all() and (matte.steady(flash, flash, flash) == 1.0).all()
