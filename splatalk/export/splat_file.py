"""Reading back files of Gaussians, whichever of the formats they are in, and drawing them."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import torch

from splatalk.errors import UserError
from splatalk.export.axes import HALF_TURN, Y_UP, camera_of
from splatalk.export.views import TRANSPARENT, cut_out
from splatalk.render.camera import Camera
from splatalk.render.rasterize import rasterize
from splatalk.render.splats import Splats

SUFFIXES = (".ply", ".spz", ".glb")
GREY = "#808080"
SIZE, FIELD_OF_VIEW = 512, 30.0  # pixels and degrees of the camera that is used when the file names none


def read_splats(path: Path) -> tuple[Splats, Camera]:
    """Gaussians with y down, and the camera that the file names, or one that sees most of them.

    Raises:
        UserError: missing, or another suffix; FormatError: damaged.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"{path} is no file of Gaussians.", f"Give one of {', '.join(SUFFIXES)}.")
    if not path.is_file():
        raise UserError(f"There is no file {path}.", "Check the path.")
    if suffix == ".ply":
        from splatalk.export.ply import read_facts, read_ply

        splats, facts = read_ply(path), read_facts(path)
    elif suffix == ".spz":
        from splatalk.export.spz import read_spz

        splats, facts = read_spz(path)
    else:
        from splatalk.export.glb import read_glb

        splats, facts = read_glb(path)
    camera = camera_of(facts)
    if camera is None:
        return splats, camera_before(splats)
    if facts.get("axes") == Y_UP:
        camera = dataclasses.replace(camera, world_to_camera=camera.world_to_camera @ HALF_TURN)
    return splats, camera


def camera_before(splats: Splats) -> Camera:
    """A camera on the side of -z, where faces look, that has nine tenths of the Gaussians in its picture."""
    means = splats.means.numpy().astype(np.float64) if len(splats) else np.zeros((1, 3))
    middle = np.median(means, axis=0)
    reach = max(float(np.quantile(np.linalg.norm(means - middle, axis=1), 0.9)), 1e-3)
    focal = SIZE / 2 / math.tan(math.radians(FIELD_OF_VIEW / 2))
    pose = np.eye(4)
    pose[:3, 3] = -middle + (0.0, 0.0, 1.2 * reach / math.tan(math.radians(FIELD_OF_VIEW / 2)))
    return Camera(SIZE, SIZE, focal, focal, SIZE / 2, SIZE / 2, pose)


def draw(
    splats: Splats,
    camera: Camera,
    yaw: float,
    pitch: float,
    background: str,
    size: tuple[int, int] | None,
    backend: str,
) -> np.ndarray:
    """One picture of Gaussians.

    Args:
        yaw, pitch: degrees by which the camera moves around their middle, see ``views.view``.
        background: a colour, ``transparent``, or ``plate``, which files do not have: grey then.
        size: (width, height) pixels, or None for the camera's.

    Returns:
        (H, W, 3) uint8 sRGB, or (H, W, 4) with straight alpha.
    """
    from splatalk.drive.play import parse_colour, to_uint8

    middle = splats.means.median(0).values.double().numpy() if len(splats) else np.zeros(3)
    camera = camera.orbited(middle, math.radians(yaw), math.radians(pitch))
    camera = camera if size is None else camera.resized(*size)
    if background == TRANSPARENT:
        return cut_out(splats, camera, backend)
    behind = parse_colour(GREY if background == "plate" else background)
    with torch.no_grad():
        return to_uint8(rasterize(splats, camera, behind, backend=backend).image)
