"""Cameras around an avatar, and playing it while the camera moves, over a background or over nothing."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from splatalk.avatar.controls import BLENDSHAPES, Performance
from splatalk.render.rasterize import rasterize

if TYPE_CHECKING:
    from splatalk.avatar.model import Avatar
    from splatalk.render.camera import Camera
    from splatalk.render.splats import Splats

TRANSPARENT = "transparent"
_FRINGE = 7  # pixels over which colours spread into what is transparent, so that blurring edges shows no black


def view(avatar: Avatar, yaw: float, pitch: float, distance: float = 1.0) -> Camera:
    """The capture camera moved around the head by ``yaw`` and ``pitch`` degrees (see ``Camera.orbited``).

    Args:
        distance: from the head, as a multiple of the recorded one; the head keeps its place in the picture.
    """
    camera = avatar.camera.orbited(avatar.head_centre, math.radians(yaw), math.radians(pitch))
    pose = camera.world_to_camera.copy()
    pose[:3, 3] += (distance - 1.0) * (pose[:3, :3] @ avatar.head_centre + pose[:3, 3])
    return dataclasses.replace(camera, world_to_camera=pose)


def rest(avatar: Avatar, n_frames: int) -> Performance:
    """``n_frames`` of the person looking ahead in silence, the mouth at rest."""
    return Performance(
        fps=avatar.fps,
        head_pose=np.repeat(np.asarray(avatar.rest_head)[None], n_frames, 0),
        torso_pose=np.repeat(np.asarray(avatar.rest_torso)[None], n_frames, 0),
        expression=np.zeros((n_frames, len(BLENDSHAPES)), np.float32),
        gaze=np.repeat(np.median(avatar.manner["gaze"], 0)[None], n_frames, 0),
    )


def play_from(
    avatar: Avatar,
    performance: Performance,
    cameras: Sequence[Camera],
    background: str | None = "plate",
    size: tuple[int, int] | None = None,
    backend: str = "auto",
) -> Iterator[np.ndarray]:
    """``drive.play`` with a camera for every frame.

    Args:
        background: as for ``play``, or ``transparent``.

    Yields:
        (H, W, 3) uint8 sRGB pictures, or (H, W, 4) with straight alpha when the background is transparent.
    """
    from splatalk.drive.play import play

    for i, camera in enumerate(cameras):
        if background == TRANSPARENT:
            seen = camera if size is None else camera.resized(*size)
            yield cut_out(avatar.pose(performance.frame(i)), seen, backend)
        else:
            yield from play(avatar, performance.select(np.array([i])), camera, background, size, backend)


@torch.no_grad()
def cut_out(splats: Splats, camera: Camera, backend: str = "auto") -> np.ndarray:
    """(H, W, 4) uint8 sRGB with straight alpha: the Gaussians over nothing."""
    drawn = rasterize(splats, camera, None, backend=backend)
    alpha = drawn.alpha.clamp(0, 1).cpu().numpy()[..., None]
    over_black = drawn.image.clamp(0, 1).cpu().numpy()
    kernel = (2 * _FRINGE + 1, 2 * _FRINGE + 1)
    near = cv2.blur(over_black, kernel) / np.maximum(cv2.blur(alpha, kernel)[..., None], 1e-6)
    colour = np.where(alpha > 1 / 255, over_black / np.maximum(alpha, 1e-6), near)
    rgba = np.concatenate((np.clip(colour, 0, 1), alpha), 2)
    return (rgba * 255).round().astype(np.uint8)
