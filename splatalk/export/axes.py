"""From splatalk's axes (OpenCV: y down) to those of formats whose y points up, and what every file says about both.

The two differ by half a turn about x, so nothing is mirrored: means, rotations and harmonics turn with it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from splatalk.render.camera import Camera
from splatalk.render.sh import sh_basis
from splatalk.render.splats import Splats

Y_DOWN = "x right, y down, z forward (OpenCV), right-handed"
Y_UP = "x right, y up, z backward (OpenGL), right-handed"
UNITS = "metres"
COLOUR = "sRGB (BT.709 primaries), display-referred; 0.5 + spherical harmonics, blended as it is, not in linear light"
HALF_TURN = np.diag([1.0, -1.0, -1.0, 1.0])
"""(4, 4) y down to y up, and back."""


def half_turn(splats: Splats) -> Splats:
    """Gaussians turned by 180 degrees about x: y down to y up, or back."""
    flip = splats.means.new_tensor([1.0, -1.0, -1.0])
    w, x, y, z = splats.quats.unbind(-1)
    return dataclasses.replace(
        splats,
        means=splats.means * flip,
        # The local axes are turned back as well, which a Gaussian does not feel, so that twice is exactly nothing.
        quats=torch.stack((w, x, -y, -z), -1),
        sh=splats.sh * _sh_signs(splats.sh.shape[1])[None, :, None].to(splats.sh),
    )


def _sh_signs(count: int) -> Tensor:
    """(count,) ±1: every basis function is even or odd under that half turn."""
    direction = torch.tensor([[0.36, 0.48, 0.8]], dtype=torch.float64)  # on no symmetry plane of degrees up to 3
    turned = direction * torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)
    return (sh_basis(turned, count) * sh_basis(direction, count)).sign()[0]


def stated(facts: Mapping[str, str], *, y_up: bool, quaternions: str) -> dict[str, str]:
    """``facts`` of a scene with y down, and how the file is to be read.

    Args:
        facts: provenance, and perhaps ``camera``: a JSON camera that sees the scene as it was recorded.
        y_up: whether the file's Gaussians were turned; its camera then turns with them.
        quaternions: ``wxyz`` or ``xyzw``.
    """
    told = {"axes": Y_UP if y_up else Y_DOWN, "units": UNITS, "colour": COLOUR, "rotation": quaternions, **facts}
    camera = camera_of(facts)
    if y_up and camera is not None:
        told["camera"] = camera_fact(turned(camera))
    return told


def turned(camera: Camera) -> Camera:
    """The same view of Gaussians that went through ``half_turn``."""
    return dataclasses.replace(camera, world_to_camera=camera.world_to_camera @ HALF_TURN)


def camera_fact(camera: Camera) -> str:
    """One line of JSON; pixels, metres, OpenCV camera axes."""
    return json.dumps(camera.to_json())


def camera_of(facts: Mapping[str, str]) -> Camera | None:
    """The camera among ``facts``, in the axes of their file; None when there is none or it makes no sense."""
    try:
        camera = Camera.from_json(json.loads(facts["camera"]))
        numbers = np.array([camera.fx, camera.fy, camera.cx, camera.cy, *camera.world_to_camera.ravel()], np.float64)
        sizes = (camera.width, camera.height)
        sound = numbers.shape == (20,) and np.isfinite(numbers).all() and min(camera.fx, camera.fy) > 0
        sound = sound and all(isinstance(size, int) and 1 <= size <= 8192 for size in sizes)
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return camera if sound else None
