"""The player draws what the reference renderer draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from splatalk.export.compact import posed, read, to_bytes
from splatalk.render.rasterize import rasterize
from tests.viewer.performer import SIZE, performer

GREY = {"kind": "color", "color": [0.5, 0.5, 0.5]}
AGREES = 48.0
"""dB; rounding to 8 bits alone gives about 56, and neighbouring frames are 41 apart."""
NONE = {"kind": "color", "color": None}
PLATE = {"kind": "plate", "toPlate": [1 / SIZE, 1 / SIZE, 0, 0]}


@pytest.fixture(scope="module")
def contents():
    return read(to_bytes(*performer()))


def reference(contents, frame: int, camera, background: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) in 0..255 and alpha (H, W)."""
    track = contents.track
    splats = posed(contents.compact, track.coefficients[frame], track.head[frame], track.torso[frame])
    with torch.no_grad():
        drawn = rasterize(splats, camera, torch.from_numpy(background).float())
    return drawn.image.clamp(0, 1).numpy() * 255.0, drawn.alpha.numpy()


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255.0**2 / np.mean((a.astype(np.float64) - b) ** 2)))


@pytest.mark.parametrize(("frame", "yaw", "pitch"), [(0, 0, 0), (30, 0, 0), (44, 25, 0), (12, -20, 12), (37, 8, -15)])
def test_frames_look_like_the_reference_from_all_sides(player, contents, frame, yaw, pitch):
    compact = contents.compact
    camera = compact.camera.orbited(compact.head_centre, np.radians(yaw), np.radians(pitch))
    drawn = player.pixels(frame, camera, GREY)
    wanted, alpha = reference(contents, frame, camera, np.full(3, 0.5))
    assert 0.2 < alpha.mean() < 0.9  # there is a person in the picture, and something behind
    found = psnr(drawn[..., :3], wanted)
    assert found > AGREES


def test_another_size_and_shape(player, contents):
    compact = contents.compact
    camera = compact.camera.resized(260, 150)
    found = psnr(player.pixels(20, camera, GREY)[..., :3], reference(contents, 20, camera, np.full(3, 0.5))[0])
    assert found > AGREES


def test_the_plate_is_behind_as_captured(player, contents):
    import cv2

    camera = contents.compact.camera
    plate = cv2.imdecode(np.frombuffer(contents.compact.plate.data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1] / 255.0
    drawn = player.pixels(5, camera, PLATE)
    assert psnr(drawn[..., :3], reference(contents, 5, camera, np.ascontiguousarray(plate))[0]) > AGREES


def test_without_background_alpha_is_the_reference_s(player, contents):
    camera = contents.compact.camera
    drawn = player.pixels(5, camera, NONE)
    _, alpha = reference(contents, 5, camera, np.zeros(3))
    assert psnr(drawn[..., 3], alpha * 255.0) > AGREES
    assert (drawn[:8, :8] == 0).all()


def test_the_comparison_can_fail(player, contents):
    camera = contents.compact.camera
    wanted, _ = reference(contents, 30, camera, np.full(3, 0.5))
    assert psnr(player.pixels(31, camera, GREY)[..., :3], wanted) < AGREES
