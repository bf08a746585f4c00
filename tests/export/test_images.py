from __future__ import annotations

import cv2
import numpy as np
import pytest

from splatalk.errors import UserError
from splatalk.export.contact_sheet import Sampler, contact_sheet
from splatalk.export.images import write_image


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
def test_red_stays_red(tmp_path, suffix):
    image = np.zeros((16, 24, 3), np.uint8)
    image[..., 0] = 255
    write_image(tmp_path / f"a{suffix}", image)
    blue, green, red = cv2.imread(str(tmp_path / f"a{suffix}"))[8, 8]
    assert red > 240 and green < 16 and blue < 16


def test_png_keeps_every_value_and_transparency(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 4), np.uint8)
    write_image(tmp_path / "a.png", image)
    back = cv2.cvtColor(cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)
    np.testing.assert_array_equal(back, image)


def test_unknown_suffix(tmp_path):
    with pytest.raises(UserError, match="suffix"):
        write_image(tmp_path / "a.gif", np.zeros((2, 2, 3), np.uint8))


def test_contact_sheet_has_every_picture_in_its_place():
    pictures = [np.full((40, 40, 3), value, np.uint8) for value in (50, 100, 150, 200, 250)]
    page = contact_sheet(pictures, list("abcde"), columns=3, cell_width=40)
    assert page.shape == (2 * 68 + 6, 3 * 46 + 6, 3)
    assert page[20, 20, 0] == 50 and page[20, 20 + 46, 0] == 100 and page[20 + 68, 20 + 46, 0] == 250


@pytest.mark.parametrize("n_frames", [1, 5, 12, 195])
def test_sampler_spreads_over_the_film(n_frames):
    sampler = Sampler(n_frames, count=12)
    for i in range(n_frames):
        sampler.see(i, np.full((8, 8, 3), i % 256, np.uint8))
    kept = [i for i, _ in sampler.kept]
    assert len(kept) == min(n_frames, 12)
    assert max(kept) < n_frames and kept == sorted(set(kept))
    assert sampler.sheet(25.0).ndim == 3
