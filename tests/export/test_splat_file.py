from __future__ import annotations

import cv2
import numpy as np
import pytest

from splatalk.errors import UserError
from splatalk.export.axes import camera_fact
from splatalk.export.glb import write_glb
from splatalk.export.ply import write_ply
from splatalk.export.splat_file import draw, read_splats
from splatalk.export.spz import write_spz
from splatalk.export.views import cut_out
from tests.export.people import CAMERA, head, picture, psnr

WRITERS = {".ply": write_ply, ".spz": write_spz, ".glb": write_glb}


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("coefficients", [1, 16])
def test_what_was_exported_is_drawn_as_it_was(tmp_path, suffix, coefficients):
    splats = head(coefficients=coefficients)
    WRITERS[suffix](tmp_path / f"a{suffix}", splats, {"camera": camera_fact(CAMERA)})
    again = draw(*read_splats(tmp_path / f"a{suffix}"), 0.0, 0.0, "#808080", None, "auto")
    assert psnr(again / 255, picture(splats) + 0.5 / 255) > 44


@pytest.mark.parametrize("suffix", WRITERS)
def test_files_that_name_no_camera_are_seen_from_the_front(tmp_path, suffix):
    WRITERS[suffix](tmp_path / f"a{suffix}", head(), {})
    splats, camera = read_splats(tmp_path / f"a{suffix}")
    assert np.linalg.inv(camera.world_to_camera)[2, 3] < 0, "before the face, which looks along -z"
    seen = draw(splats, camera, 0.0, 0.0, "transparent", (64, 64), "auto")
    assert 0.2 < (seen[..., 3] > 128).mean() < 0.9 and seen[0, 0, 3] == 0


def test_cut_out_pictures_are_the_same_over_any_colour():
    splats = head()
    rgba = cut_out(splats, CAMERA).astype(np.float32) / 255
    over_grey = rgba[..., :3] * rgba[..., 3:] + 0.5 * (1 - rgba[..., 3:])
    assert psnr(over_grey, picture(splats)) > 45
    beside = (rgba[..., 3] == 0) & (cv2.dilate(rgba[..., 3], np.ones((5, 5))) > 0.05)
    assert beside.any() and rgba[beside, :3].max(axis=-1).mean() > 0.2, (
        "what is transparent has the colour beside it, not black"
    )


def test_other_files(tmp_path):
    with pytest.raises(UserError, match=r"\.ply"):
        read_splats(tmp_path / "a.obj")
    with pytest.raises(UserError, match="no file"):
        read_splats(tmp_path / "a.glb")
