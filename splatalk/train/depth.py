"""How deep the person lies where one camera does not say: the face as tracked, the rest by what bodies are like.

Silhouettes are inflated like a balloon whose centre plane, thickness and rim follow an average body from the crown down
to the chest: a neck that stands back under the chin, a notch between the collar bones, a chest that comes forward.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import torch
from scipy import ndimage, spatial
from torch import Tensor, nn
from torch.nn.functional import grid_sample

from splatalk.avatar.face_mesh import CHIN, EYE_TRIANGLES, FACE_TRIANGLES, LIPS_INNER, MOUTH_TRIANGLES
from splatalk.avatar.gaussians import Gaussians
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


LENGTH, BEFORE = 0.004, 0.015
"""Largest standard deviation along the line of sight of a Gaussian on the face, and how far before it any may lie,
metres: glasses and a fringe do.
"""
COARSE = 0.012
"""Edge of a cell of what Gaussians learn of their depth together, metres."""


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


def body_depth(capture: Capture, matte: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) world depths of the person's front and back in the reference frame, metres."""
    ref, scale = capture.tracks.reference_frame, metres_per_pixel(capture)
    person = np.pad(matte > 0.5, ((1, 1), (1, 1)), mode="edge")  # the picture's border is no silhouette
    inside = ndimage.distance_transform_edt(person)[1:-1, 1:-1] * scale
    rows = (np.arange(capture.height) + 0.5 - capture.tracks.landmarks[ref, CHIN, 1]) * scale
    centre, half, radius = (np.interp(rows, BELOW_CHIN, table)[:, None] for table in (CENTRE, HALF_DEPTH, RADIUS))
    full = np.minimum(inside / radius, 1.0)
    middle, reach = capture.tracks.head_pose[ref, 2, 3] + centre, half * np.sqrt(1 - (1 - full) ** 2)
    face, known = _face_depth(capture)
    away, (iy, ix) = ndimage.distance_transform_edt(~known, return_indices=True)
    y, x = np.mgrid[: capture.height, : capture.width]
    under_jaw = (y - iy > np.abs(x - ix)) & (iy > capture.tracks.landmarks[ref, list(LIPS_INNER), 1].mean())
    near = np.exp(-away * scale / np.where(under_jaw, UNDER_JAW, NEAR_FACE))
    return near * face[iy, ix] + (1 - near) * (middle - reach), middle + reach


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
    pixels = np.stack((x, y), -1) + 0.5
    front, back = (lifted(capture, pixels, depth[y, x]) for depth in body_depth(capture, matte))
    return DepthPrior(front, back, face_mask(capture)[y, x], mean_face(capture), device)


@dataclasses.dataclass
class Held:
    """What holds N Gaussians at one step.

    Args:
        at: (1, 1, N, 2) places on the maps, -1..1.
        surface: (N,) depth of the closer of front and back, metres.
        held: (N,) whether they are held at all, 0..1.
        firmness: (N,) a metre over how far each may lie off.
        share: (N,) how far each goes along with the relief of the front.
        lift: (N,) by how much the relief has moved each, metres; knows its derivative.
        hidden: (H,) numbers of those that belong to the back.
    """

    at: Tensor
    surface: Tensor
    held: Tensor
    firmness: Tensor
    share: Tensor
    lift: Tensor
    hidden: Tensor


class DepthPrior(nn.Module):
    """Holds Gaussians near a surface, along the line of sight alone, and moves that surface to where turns show it.

    What one camera never sees turned away from it, it cannot place: noise in poses and pictures then scatters Gaussians
    along the view, and they come apart as soon as it turns. So each is held near the closer of two maps of depth over
    the canonical x and y, one of the front and one of the back. Where the front is a guess, a coarse relief is added to
    it, learned from the sum of what all Gaussians of a neighbourhood are asked to do: noise of single ones averages
    out, what the turning head shows remains.

    Args:
        front, back: (N, 3) canonical points of the visible surface and of the hidden one, metres.
        firm: (N,) bool, where that surface was tracked; elsewhere it is a guess.
        mean_face: (478, 3) metres; nothing is held inside the mouth, which has several layers.
    """

    layers: Tensor
    low: Tensor
    high: Tensor

    def __init__(
        self, front: np.ndarray, back: np.ndarray, firm: np.ndarray, mean_face: np.ndarray, device: torch.device
    ) -> None:
        super().__init__()
        low, high = front[:, :2].min(axis=0), front[:, :2].max(axis=0)
        width, height = np.maximum(np.ceil((high - low) / CELL).astype(int), 2)
        x, y = (np.linspace(a, b, n) for a, b, n in zip(low, high, (width, height), strict=True))
        cells = np.stack(np.meshgrid(x, y), -1)
        depth, away, nearest = _interpolated(front, cells)
        behind, *_ = _interpolated(back, cells)
        held = (away < 4 * CELL) & ~_inside(mean_face[list(LIPS_INNER), :2], low, high, (width, height))
        layers = np.stack((depth, behind, np.where(firm[nearest], FIRM, LOOSE), held, ~firm[nearest]))
        self.register_buffer("layers", torch.from_numpy(layers.astype(np.float32))[None].to(device), persistent=False)
        for name, value in (("low", low), ("high", high)):
            self.register_buffer(name, torch.from_numpy(value).float().to(device), persistent=False)
        columns, lines = (max(int(np.ceil(n * CELL / COARSE)), 2) for n in (width, height))
        self.relief = nn.Parameter(torch.zeros(1, 1, lines, columns, device=device))

    def look(self, gaussians: Gaussians) -> Held:
        """Where the surface lies for every Gaussian as it is now."""
        at = self._cells(gaussians.means)
        front, back, room, held, guessed = _sampled(self.layers, at)
        z = gaussians.means.detach()[:, 2]
        hidden = z > (front + back) / 2
        # The face is tracked, and the chest hardly turns.
        share = guessed * ~hidden * gaussians.bone_logits.detach().sigmoid()
        lift = share * _sampled(self.relief, at)[0]
        surface = front + lift.detach()
        surface = torch.where((z - back).abs() < (z - surface).abs(), back, surface)
        return Held(at, surface, held, 1.0 / room, share, lift, hidden.nonzero()[:, 0])

    def forward(self, means: Tensor, seen: Held) -> Tensor:
        """Mean of Cauchy's robust penalty of how far Gaussians (N, 3) lie off the surface in depth."""
        return (seen.held * torch.log1p(((means[:, 2] - seen.surface) * seen.firmness).square())).mean()

    def gather(self, means: Tensor, seen: Held) -> None:
        """Give the relief the gradient that the Gaussians over each of its cells have together."""
        assert means.grad is not None
        (self.relief.grad,) = torch.autograd.grad(seen.lift, self.relief, means.grad[:, 2])

    @torch.no_grad()
    def carry(self, means: Tensor, seen: Held, before: Tensor) -> None:
        """Move the Gaussians by how the relief has changed since it was ``before``."""
        means[:, 2] += seen.share * _sampled(self.relief - before, seen.at)[0]

    @torch.no_grad()
    def tidy(self, gaussians: Gaussians) -> None:
        """Push back what lies far before the tracked face, and shorten what sticks out of it (``shorten``).

        A shadow that wanders over a turning face looks like something near that floats before it.
        """
        front, _, _, _, guessed = _sampled(self.layers, self._cells(gaussians.means))
        nearest = torch.where(guessed < 0.5, front - BEFORE, -torch.inf)
        gaussians.means[:, 2] = torch.maximum(gaussians.means[:, 2], nearest)
        shorten(gaussians)

    def _cells(self, means: Tensor) -> Tensor:
        """(1, 1, N, 2) places on the maps, -1..1."""
        return (2.0 * (means[:, :2].detach() - self.low) / (self.high - self.low) - 1.0)[None, None]


@torch.no_grad()
def shorten(gaussians: Gaussians) -> None:
    """Shorten Gaussians on the face that stick out along the line of sight: from the front nobody sees how long they
    are, from aside they are spikes.
    """
    w, x, y, z = torch.nn.functional.normalize(gaussians.quats, dim=1).unbind(1)
    along = torch.stack((2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)), dim=1)
    reach = along.abs() * gaussians.log_scales.exp()
    most, axis = reach.max(dim=1)
    excess = (most / LENGTH).clamp_min(1.0).log() * gaussians.dynamic
    gaussians.log_scales.scatter_add_(1, axis[:, None], -excess[:, None])


def _sampled(layers: Tensor, at: Tensor) -> Tensor:
    """(C, N) bilinear values of maps (1, C, H, W)."""
    return grid_sample(layers, at, padding_mode="border", align_corners=True)[0, :, 0]


def _interpolated(points: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth (H, W) of points (N, 3) over cells (H, W, 2), the distance of the nearest one across, and its number."""
    away, rows = spatial.cKDTree(points[:, :2]).query(cells, k=4)
    weight = 1.0 / (away + 0.5 * CELL)
    return (weight * points[rows, 2]).sum(-1) / weight.sum(-1), away[..., 0], rows[..., 0]


def _inside(outline: np.ndarray, low: np.ndarray, high: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool, the cells of a grid from ``low`` to ``high`` within an outline (P, 2), with a margin of a cell."""
    pixels = (outline - low) / (high - low) * (np.array(size) - 1)
    mask = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillPoly(mask, [np.round(pixels).astype(np.int32)], 1)
    return cv2.dilate(mask, np.ones((3, 3), np.uint8)) > 0
