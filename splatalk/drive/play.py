"""Performance to frames: pose the avatar, draw it, one picture at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import torch

from splatalk.avatar.controls import Controls, Performance
from splatalk.avatar.model import Avatar, Tokens
from splatalk.avatar.playback import fusible
from splatalk.drive.playback_graph import PlaybackGraph
from splatalk.errors import UserError
from splatalk.kernels import cuda
from splatalk.render import backends
from splatalk.render.camera import Camera
from splatalk.render.rasterize import rasterize


def play(
    avatar: Avatar,
    performance: Performance,
    camera: Camera | None = None,
    background: str | None = "plate",
    size: tuple[int, int] | None = None,
    backend: str = "auto",
) -> Iterator[np.ndarray]:
    """Draw every frame of a performance.

    Args:
        camera: where to look from; None is the capture camera.
        background: ``plate`` (the recorded background), a colour like ``#e8e8e8``, or None for black.
        size: (width, height) of the pictures, pixels; None keeps the camera's.
        backend: see ``render.backends``.

    Yields:
        (H, W, 3) uint8 sRGB pictures.

    Raises:
        UserError: the background is no colour; BackendError: the backend cannot run here.
    """
    camera = camera or avatar.camera
    if size is not None:
        camera = camera.resized(*size)
    draw = drawing(avatar, camera, background_image(avatar, background, camera), backend)
    for i in range(len(performance)):
        yield draw(performance.frame(i))


def drawing(
    avatar: Avatar, camera: Camera, behind: torch.Tensor, backend: str = "auto"
) -> Callable[[Controls], np.ndarray]:
    """How frames are drawn: Controls to (H, W, 3) uint8. With the cuda backend, which ``auto`` takes where it runs, one
    replay of a CUDA graph draws a frame.

    Raises:
        BackendError: the backend cannot run here.
    """
    if backend == "auto" and cuda.problem() is None:
        backend = "cuda"
    if backends.choose(backend) == "cuda" and fusible(avatar):
        graph = PlaybackGraph(avatar, (camera.width, camera.height), behind, torch.device("cuda"))
        return lambda controls: graph.draw(_tokens(avatar, controls), controls, camera)

    def draw(controls: Controls) -> np.ndarray:
        splats = avatar.pose(controls)
        with torch.no_grad():
            return to_uint8(rasterize(splats, camera, behind, backend=backend).image)

    return draw


@torch.no_grad()
def _tokens(avatar: Avatar, controls: Controls) -> Tokens:
    return avatar.tokens(controls)


def background_image(avatar: Avatar, background: str | None, camera: Camera) -> torch.Tensor:
    """(3,) colour or (H, W, 3) plate, 0..1."""
    if background is None:
        return torch.zeros(3)
    if background == "plate":
        plate = avatar.plate
        if plate.shape[:2] != (camera.height, camera.width):
            plate = cv2.resize(plate, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
        return torch.from_numpy(np.ascontiguousarray(plate)).float() / 255.0
    return parse_colour(background)


def parse_colour(text: str) -> torch.Tensor:
    """``#e8e8e8`` → (3,) sRGB, 0..1. Raises UserError: no such colour."""
    try:
        channels = bytes.fromhex(text.removeprefix("#"))
    except ValueError:
        channels = b""
    if len(channels) != 3:
        raise UserError(f"{text!r} is no background.", "Use plate, or a colour such as #e8e8e8.")
    return torch.tensor(list(channels)).float() / 255.0


def to_uint8(image: torch.Tensor) -> np.ndarray:
    """(H, W, 3) 0..1 to 0..255, rounded."""
    return image.mul(255.0).round_().clamp_(0.0, 255.0).to(torch.uint8).cpu().numpy()
