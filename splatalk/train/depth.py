"""How deep the person lies where one camera does not say: the face as tracked, the rest by what bodies are like.

Silhouettes are inflated like a balloon whose centre plane, thickness and rim follow an average body from the crown down
to the chest: a neck that stands back under the chin, a notch between the collar bones, a chest that comes forward.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from scipy import ndimage, spatial
from torch import Tensor
from torch.nn.functional import grid_sample

from splatalk.avatar.face_mesh import CHIN, EYE_TRIANGLES, FACE_TRIANGLES, LIPS_INNER, MOUTH_TRIANGLES
from splatalk.capture.dataset import Capture
from splatalk.train.frames import mean_face

BELOW_CHIN = (0.0, 0.015, 0.07, 0.13, 0.20)
CENTRE = (0.01, 0.018, 0.03, 0.03, 0.03)
HALF_DEPTH = (0.09, 0.06, 0.055, 0.085, 0.105)
RADIUS = (0.08, 0.055, 0.07, 0.12, 0.12)
"""An average adult at heights below the chin, metres: how far the body's middle plane lies behind the ears (the origin
of the head frame), half its depth, and how far inside the silhouette that depth is reached. The throat lies some 4.5 cm
behind the chin, the notch of the collar bones 6 cm, the breastbone 2 cm; ears stand 3 cm before the shoulder joints.
"""
NEAR_FACE, UNDER_JAW = 0.02, 0.004
"""Over what distance the face's depth fades into the body's, metres: beside the face and under the jaw."""
CELL = 0.002
"""Edge of a cell of the map of depths, metres."""
FIRM, LOOSE = 0.004, 0.012
"""How far a Gaussian may lie off the face's surface, and off guessed surfaces, before it is pulled back, metres."""


def metres_per_pixel(capture: Capture) -> float:
    """At the head of the reference frame."""
    return float(capture.tracks.head_pose[capture.tracks.reference_frame, 2, 3] / capture.camera.fx)


def face_mask(capture: Capture) -> np.ndarray:
    """(H, W) bool, pixels of the reference frame that the face covers, eyes and mouth included."""
    mask = np.zeros((capture.height, capture.width), np.uint8)
    corners = capture.tracks.landmarks[capture.tracks.reference_frame][
        np.concatenate((FACE_TRIANGLES, EYE_TRIANGLES, MOUTH_TRIANGLES))
    ]
    for triangle in corners:
        cv2.fillConvexPoly(mask, np.round(triangle).astype(np.int32), 1)
    return mask > 0


def body_depth(capture: Capture, matte: np.ndarray) -> np.ndarray:
    """(H, W) world depth of the person in the reference frame, metres."""
    ref, scale = capture.tracks.reference_frame, metres_per_pixel(capture)
    person = np.pad(matte > 0.5, ((1, 1), (1, 1)), mode="edge")  # the picture's border is no silhouette
    inside = ndimage.distance_transform_edt(person)[1:-1, 1:-1] * scale
    rows = (np.arange(capture.height) + 0.5 - capture.tracks.landmarks[ref, CHIN, 1]) * scale
    centre, half, radius = (np.interp(rows, BELOW_CHIN, table)[:, None] for table in (CENTRE, HALF_DEPTH, RADIUS))
    full = np.minimum(inside / radius, 1.0)
    depth = capture.tracks.head_pose[ref, 2, 3] + centre - half * np.sqrt(1 - (1 - full) ** 2)
    face, known = _face_depth(capture)
    away, (iy, ix) = ndimage.distance_transform_edt(~known, return_indices=True)
    y, x = np.mgrid[: capture.height, : capture.width]
    under_jaw = (y - iy > np.abs(x - ix)) & (iy > capture.tracks.landmarks[ref, list(LIPS_INNER), 1].mean())
    near = np.exp(-away * scale / np.where(under_jaw, UNDER_JAW, NEAR_FACE))
    return near * face[iy, ix] + (1 - near) * depth


def _face_depth(capture: Capture) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) depth of the face mesh in the reference frame, metres, and where it is known."""
    ref = capture.tracks.reference_frame
    pose = capture.tracks.head_pose[ref]
    z = (capture.tracks.landmarks_head[ref] @ pose[:3, :3].T + pose[:3, 3])[:, 2]
    pixels = capture.tracks.landmarks[ref]
    depth = np.full((capture.height, capture.width), np.inf, np.float32)
    for row in FACE_TRIANGLES[np.argsort(-z[FACE_TRIANGLES].mean(1))]:  # far to near, the near one stays
        cv2.fillConvexPoly(depth, np.round(pixels[row]).astype(np.int32), float(z[row].mean()))
    return depth, np.isfinite(depth)


def lifted(capture: Capture, pixels: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Canonical points (N, 3) of pixels (N, 2) of the reference frame at world depths (N,)."""
    c, pose = capture.camera, capture.tracks.head_pose[capture.tracks.reference_frame]
    world = np.stack(((pixels[:, 0] - c.cx) / c.fx * depth, (pixels[:, 1] - c.cy) / c.fy * depth, depth), -1)
    return (world - pose[:3, 3]) @ pose[:3, :3]


def depth_prior(capture: Capture, device: torch.device) -> DepthPrior:
    """The prior of a capture's reference frame."""
    matte = capture.matte(capture.tracks.reference_frame)
    y, x = np.nonzero(matte > 0.4)
    depth = body_depth(capture, matte)[y, x]
    surface = lifted(capture, np.stack((x, y), -1) + 0.5, depth)
    return DepthPrior(surface, face_mask(capture)[y, x], mean_face(capture), device)


class DepthPrior:
    """Holds Gaussians near the surface they started on, along the line of sight alone.

    What one camera never sees turned away from it, it cannot place: noise in poses and pictures then scatters Gaussians
    along the view, and they come apart as soon as it turns. The prior is a map of depth over the canonical x and y.

    Args:
        positions: (N, 3) canonical points of the visible surface, metres.
        firm: (N,) bool, where that surface was tracked; elsewhere it is a guess.
        mean_face: (478, 3) metres; nothing is held inside the mouth, which has several layers.
    """

    def __init__(self, positions: np.ndarray, firm: np.ndarray, mean_face: np.ndarray, device: torch.device) -> None:
        low, high = positions[:, :2].min(axis=0), positions[:, :2].max(axis=0)
        width, height = np.maximum(np.ceil((high - low) / CELL).astype(int), 2)
        x, y = (np.linspace(a, b, n) for a, b, n in zip(low, high, (width, height), strict=True))
        cells = np.stack(np.meshgrid(x, y), -1)
        away, rows = spatial.cKDTree(positions[:, :2]).query(cells, k=4)
        weight = 1.0 / (away + 0.5 * CELL)
        depth = (weight * positions[rows, 2]).sum(-1) / weight.sum(-1)
        room = np.where(firm[rows[..., 0]], FIRM, LOOSE)
        held = (away[..., 0] < 4 * CELL) & ~_inside(mean_face[list(LIPS_INNER), :2], low, high, (width, height))
        layers = np.stack((depth, room, held)).astype(np.float32)
        self.layers = torch.from_numpy(layers)[None].to(device)
        self.low, self.high = (torch.from_numpy(v).float().to(device) for v in (low, high))

    def __call__(self, means: Tensor) -> Tensor:
        """Mean of Cauchy's robust penalty of how far Gaussians (N, 3) lie off the surface in depth."""
        at = (2.0 * (means[:, :2].detach() - self.low) / (self.high - self.low) - 1.0)[None, None]
        depth, room, held = grid_sample(self.layers, at, padding_mode="border", align_corners=True)[0, :, 0]
        return (held * torch.log1p(((means[:, 2] - depth) / room).square())).mean()


def _inside(outline: np.ndarray, low: np.ndarray, high: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool, the cells of a grid from ``low`` to ``high`` within an outline (P, 2), with a margin of a cell."""
    pixels = (outline - low) / (high - low) * (np.array(size) - 1)
    mask = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillPoly(mask, [np.round(pixels).astype(np.int32)], 1)
    return cv2.dilate(mask, np.ones((3, 3), np.uint8)) > 0
