from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from splatalk.export.axes import camera_fact, camera_of, half_turn, stated, turned
from tests.export.people import CAMERA, head, picture, psnr


@pytest.mark.parametrize("coefficients", [1, 4, 9, 16])
def test_turned_gaussians_look_the_same_to_a_turned_camera(coefficients):
    """Means, quaternions and every harmonic have to turn for this."""
    splats = head(coefficients=coefficients)
    camera = CAMERA.orbited(np.zeros(3), 0.5, 0.3)
    seen, again = picture(splats, camera), picture(half_turn(splats), turned(camera))
    assert psnr(seen, again) > 90
    assert psnr(seen, picture(half_turn(splats), camera)) < 30, "the turn is visible"


def test_two_half_turns_are_none():
    splats = head(50, 16)
    back = half_turn(half_turn(splats))
    np.testing.assert_array_equal(back.means, splats.means)
    np.testing.assert_array_equal(back.sh, splats.sh)
    np.testing.assert_array_equal(back.quats, splats.quats)


def test_what_a_file_states():
    facts = {"consent": "Said yes.", "camera": camera_fact(CAMERA)}
    down, up = stated(facts, y_up=False, quaternions="wxyz"), stated(facts, y_up=True, quaternions="xyzw")
    assert "y down" in down["axes"] and "y up" in up["axes"] and up["rotation"] == "xyzw"
    assert up["consent"] == "Said yes." and up["units"] == "metres" and "sRGB" in up["colour"]
    np.testing.assert_array_equal(camera_of(down).world_to_camera, CAMERA.world_to_camera)
    np.testing.assert_array_equal(camera_of(up).world_to_camera, turned(CAMERA).world_to_camera)


@pytest.mark.parametrize(
    "change",
    [{"width": 10**9}, {"width": "8"}, {"fx": float("nan")}, {"fx": -1.0}, {"world_to_camera": [[1]]}, {"more": 1}],
    ids=str,
)
def test_cameras_that_make_no_sense_are_none(change):
    assert camera_of({"camera": json.dumps({**CAMERA.to_json(), **change})}) is None
    assert camera_of({"camera": "[" * 100_000}) is None and camera_of({}) is None
    assert dataclasses.asdict(camera_of({"camera": camera_fact(CAMERA)})).keys() == dataclasses.asdict(CAMERA).keys()
