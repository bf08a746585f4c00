"""Cameras around an avatar, and playing it while the camera moves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from splatalk.avatar.controls import BLENDSHAPES, Performance

if TYPE_CHECKING:
    from splatalk.avatar.model import Avatar
    from splatalk.render.camera import Camera


def view(avatar: Avatar, yaw: float, pitch: float) -> Camera:
    """The capture camera moved around the head by ``yaw`` and ``pitch`` degrees (see ``Camera.orbited``)."""
    return avatar.camera.orbited(avatar.head_centre, math.radians(yaw), math.radians(pitch))


def orbit(avatar: Avatar, n_frames: int, swing: float, tilt: float) -> list[Camera]:
    """One smooth turn to one side, to the other and back: ``swing`` degrees sideways, ``tilt`` degrees up and down."""
    turns = [2 * math.pi * i / n_frames for i in range(n_frames)]
    return [view(avatar, swing * math.sin(t), tilt * math.sin(2 * t)) for t in turns]


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

    Yields:
        (H, W, 3) uint8 sRGB pictures.
    """
    from splatalk.drive.play import play

    for i, camera in enumerate(cameras):
        yield from play(avatar, performance.select(np.array([i])), camera, background, size, backend)
