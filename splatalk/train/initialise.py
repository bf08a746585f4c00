"""Where the Gaussians start: dense on the tracked face, behind the lips, and inside the matte at a plausible depth.

Everything is in the canonical frame (metres, y down, z into the head).
"""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np
import torch
from scipy import ndimage

from splatalk.avatar.face_mesh import CHIN, EYE_TRIANGLES, FACE_TRIANGLES, LIPS_INNER
from splatalk.avatar.gaussians import Gaussians
from splatalk.capture.dataset import Capture
from splatalk.train.depth import body_depth, face_mask, lifted, metres_per_pixel
from splatalk.train.frames import mean_face

SH_C0 = 0.28209479177387814
EYE_DEPTH = 0.003
"""How far the visible eye lies behind the lids, metres."""
BACK_STEP = 1.7
"""How much coarser than the front the back is, which no frame shows."""
INSET = 0.003
"""How far inside the silhouette the back begins, metres: nearer to it, it would stick out."""
RIM = (0.005, 0.015)
"""What lies so far inside the silhouette tells the colour of the back, metres."""
BLUR = 0.008
"""Of the colours of the back, metres."""
STEEPEST = 4.0
"""Most points of a steep surface for one of a level one."""
DYNAMIC_REACH = 0.035
"""Gaussians this close to the face surface are moved by the network, metres."""


@dataclasses.dataclass
class Points:
    """Gaussians to be: positions (N, 3), spacing (N,) metres, colours (N, 3) 0..1, bindings, moved or not (N,)."""

    positions: np.ndarray
    spacing: np.ndarray
    colors: np.ndarray
    corners: np.ndarray
    weights: np.ndarray
    dynamic: np.ndarray

    @classmethod
    def joined(cls, parts: list[Points]) -> Points:
        names = [f.name for f in dataclasses.fields(cls)]
        return cls(**{n: np.concatenate([getattr(p, n) for p in parts]) for n in names})


def initialise(capture: Capture, count: int, seed: int) -> Gaussians:
    """About ``count`` canonical Gaussians for a capture."""
    ref = capture.tracks.reference_frame
    image, matte = capture.frame(ref).astype(np.float32) / 255.0, capture.matte(ref)
    front, back = body_depth(capture, matte)
    face_step, body_step = _steps(capture, matte, count)
    for _ in range(2):  # the area of a curved surface is known once it is covered
        rng = np.random.default_rng(seed)
        face = _face_points(capture, image, face_step, rng)
        mouth = _mouth_points(capture, face_step, rng)
        eyes = _eye_points(capture, image, face_step, rng)
        body = _matte_points(capture, image, matte, front, body_step, rng)
        hidden = _back_points(capture, image, matte, back, BACK_STEP * body_step, rng)
        points = Points.joined([face, mouth, eyes, body, hidden])
        correction = math.sqrt(len(points.positions) / count)
        face_step, body_step = face_step * correction, body_step * correction
    return _as_gaussians(capture, points)


def _steps(capture: Capture, matte: np.ndarray, count: int) -> tuple[float, float]:
    """Grid steps in pixels on the face and elsewhere; the face gets 1.4 times the density of the rest."""
    area = float((matte > 0.5).sum())
    face = float(face_mask(capture).sum())
    step = math.sqrt((area - face + 2.0 * face) / max(count, 1))
    return step / math.sqrt(2.0), step


def _project(capture: Capture, canonical: np.ndarray, frame: int) -> np.ndarray:
    """Canonical points (N, 3) to pixels (N, 2) with the head pose of ``frame``."""
    world = canonical @ capture.tracks.head_pose[frame, :3, :3].T + capture.tracks.head_pose[frame, :3, 3]
    c = capture.camera
    return np.stack((c.fx * world[:, 0] / world[:, 2] + c.cx, c.fy * world[:, 1] / world[:, 2] + c.cy), -1)


def _sample(image: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Bilinear colours (N, 3) or depths (N,) of a picture at pixels (N, 2)."""
    at = (pixels - 0.5).astype(np.float32)
    return cv2.remap(image, at[:, :1], at[:, 1:], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0]


def _spread(
    surface: np.ndarray, triangles: np.ndarray, spacing: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Points evenly over triangles of a surface (478, 3): landmark rows (N, 3) and barycentric weights (N, 3)."""
    corners = surface[triangles]
    area = 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=-1)
    n = max(int(area.sum() / spacing**2), 16)
    # Stratified over cumulated area, so neighbours do not clump.
    picks = np.searchsorted(np.cumsum(area) / area.sum(), (np.arange(n) + rng.random(n)) / n).clip(0, len(area) - 1)
    r1, r2 = np.sqrt(rng.random(n)), rng.random(n)
    return triangles[picks], np.stack((1 - r1, r1 * (1 - r2), r1 * r2), -1).astype(np.float32)


def _face_points(capture: Capture, image: np.ndarray, step: float, rng: np.random.Generator) -> Points:
    """Points on the personal face surface, coloured from the frame that sees them best."""
    neutral, spacing = mean_face(capture), step * metres_per_pixel(capture)
    rows, weights = _spread(neutral, FACE_TRIANGLES, spacing, rng)
    positions = (neutral[rows] * weights[..., None]).sum(1)
    n = len(rows)
    colors = _face_colors(capture, rows, weights, image)
    return Points(positions, np.full(n, spacing, np.float32), colors, rows, weights, np.ones(n, bool))


def _eye_points(capture: Capture, image: np.ndarray, step: float, rng: np.random.Generator) -> Points:
    """Points between the lids, a little behind them; they do not follow the lids."""
    neutral, spacing = mean_face(capture), step * metres_per_pixel(capture)
    rows, weights = _spread(neutral, EYE_TRIANGLES, spacing, rng)
    n = len(rows)
    seen = (capture.tracks.landmarks_head[capture.tracks.reference_frame][rows] * weights[..., None]).sum(1)
    colors = _sample(image, _project(capture, seen, capture.tracks.reference_frame))
    positions = (neutral[rows] * weights[..., None]).sum(1) + np.array([0.0, 0.0, EYE_DEPTH])
    return Points(positions, np.full(n, spacing, np.float32), colors, rows, 0 * weights, np.ones(n, bool))


def _face_colors(capture: Capture, rows: np.ndarray, weights: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Each point's colour from the reference frame or, where that sees it edge-on, from a frame turned towards it."""
    tracks = capture.tracks
    train = capture.train_frames()
    yaw = tracks.head_pose[train, 0, 2]
    frames = [capture.tracks.reference_frame, int(train[yaw.argmax()]), int(train[yaw.argmin()])]
    corners = mean_face(capture)[rows]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-12
    best, colors = np.full(len(rows), -np.inf), np.zeros((len(rows), 3), np.float32)
    for k, frame in enumerate(frames):
        facing = -(normal @ tracks.head_pose[frame, :3, :3].T)[:, 2] + (0.15 if k == 0 else 0.0)
        picture = image if k == 0 else capture.frame(frame).astype(np.float32) / 255.0
        points = (tracks.landmarks_head[frame][rows] * weights[..., None]).sum(1)
        better = facing > best
        colors[better] = _sample(picture, _project(capture, points, frame))[better]
        best = np.maximum(best, facing)
    return colors


def _mouth_points(capture: Capture, step: float, rng: np.random.Generator) -> Points:
    """Two sheets behind the closed lips: teeth, and the dark behind them. The lower half follows the chin."""
    neutral = mean_face(capture)
    lips = neutral[list(LIPS_INNER)]
    centre, half_width = lips.mean(0), 0.5 * np.ptp(lips[:, 0]) * 0.75
    spacing = step * metres_per_pixel(capture)
    parts = []
    for behind, color in ((0.008, (0.55, 0.42, 0.40)), (0.018, (0.22, 0.12, 0.11))):
        x, y = np.meshgrid(np.arange(-half_width, half_width, spacing), np.arange(-0.012, 0.016, spacing))
        flat = np.stack((x.ravel(), y.ravel()), -1) + rng.normal(0, 0.2 * spacing, (x.size, 2))
        curve = 0.016 * (flat[:, 0] / half_width) ** 2  # the dental arch falls back at the sides
        positions = np.column_stack((flat, behind + curve)) + centre
        lower = (flat[:, 1] > 0).astype(np.float32)
        weights = np.zeros((len(flat), 3), np.float32)
        weights[:, 0] = 0.7 * lower
        rows = np.full((len(flat), 3), CHIN)
        n = len(flat)
        colors = np.tile(np.array(color, np.float32), (n, 1))
        parts.append(Points(positions, np.full(n, spacing, np.float32), colors, rows, weights, np.ones(n, bool)))
    return Points.joined(parts)


def _matte_points(
    capture: Capture, image: np.ndarray, matte: np.ndarray, depth: np.ndarray, step: float, rng: np.random.Generator
) -> Points:
    """Pixels of the person that the face mesh does not cover, lifted to the inflated depth."""
    covered = ndimage.binary_erosion(face_mask(capture), iterations=2)
    pixels = _scattered((matte > 0.4) & ~covered, _steepness(capture, depth), step, rng)
    positions = lifted(capture, pixels, _sample(depth, pixels))
    nearest, distance = _nearest_landmark(mean_face(capture), positions)
    weights = np.zeros((len(positions), 3), np.float32)
    weights[:, 0] = np.exp(-((distance / 0.015) ** 2))
    rows = np.repeat(nearest[:, None], 3, 1)
    inside = _inside(capture, matte)
    colors = _sample(image, pixels)
    at_edge = _sample(inside.astype(np.float32), pixels) < RIM[0]  # where the background shines through
    colors[at_edge] = _sample(image, _nearest(inside > RIM[0], pixels[at_edge]))
    return Points(
        positions, np.full(len(positions), step * metres_per_pixel(capture), np.float32), colors,
        rows, weights, distance < DYNAMIC_REACH,
    )  # fmt: skip


def _back_points(
    capture: Capture, image: np.ndarray, matte: np.ndarray, depth: np.ndarray, step: float, rng: np.random.Generator
) -> Points:
    """What closes the person behind: turned away from the camera, a shell of the front alone would be hollow.

    The back has the colour of what is seen nearest to it along the silhouette: hair, neck, clothes, blurred, because
    their pattern is not known there.
    """
    inside = _inside(capture, matte)
    pixels = _scattered(inside > INSET, _steepness(capture, depth), step, rng)
    rim = (RIM[0] < inside) & (inside < RIM[1]) & ~face_mask(capture)
    blurred = _blurred(image, inside > RIM[0], BLUR / metres_per_pixel(capture))
    n = len(pixels)
    return Points(
        lifted(capture, pixels, _sample(depth, pixels)),
        np.full(n, step * metres_per_pixel(capture), np.float32), _sample(blurred, _nearest(rim, pixels)),
        np.zeros((n, 3), int), np.zeros((n, 3), np.float32), np.zeros(n, bool),
    )  # fmt: skip


def _inside(capture: Capture, matte: np.ndarray) -> np.ndarray:
    """(H, W) metres from the silhouette, 0 outside of it."""
    person = np.pad(matte > 0.5, 1, mode="edge")  # the picture's border is no silhouette
    return ndimage.distance_transform_edt(person)[1:-1, 1:-1] * metres_per_pixel(capture)


def _nearest(where: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """(N, 2) the pixels of a mask (H, W) closest to pixels (N, 2); these themselves when the mask is empty."""
    if not where.any():
        return pixels
    rows, columns = ndimage.distance_transform_edt(~where, return_distances=False, return_indices=True)
    cell = pixels.astype(int)
    return np.stack((columns[cell[:, 1], cell[:, 0]], rows[cell[:, 1], cell[:, 0]]), -1) + 0.5


def _blurred(image: np.ndarray, where: np.ndarray, deviation: float) -> np.ndarray:
    """A picture (H, W, 3) smoothed within a mask (H, W), by a Gaussian of so many pixels."""
    weight = where.astype(np.float32)
    sums, total = (cv2.GaussianBlur(v, (0, 0), deviation) for v in (image * weight[..., None], weight))
    return sums / np.maximum(total, 1e-6)[..., None]


def _steepness(capture: Capture, depth: np.ndarray) -> np.ndarray:
    """(H, W) area of a surface for an area of the picture, at most ``STEEPEST``."""
    down, across = np.gradient(depth / metres_per_pixel(capture))
    return np.minimum(np.sqrt(1.0 + down**2 + across**2), STEEPEST)


def _scattered(where: np.ndarray, crowd: np.ndarray, step: float, rng: np.random.Generator) -> np.ndarray:
    """(N, 2) pixels where a mask (H, W) is set, about ``step`` apart, and more where ``crowd`` (H, W) exceeds 1."""
    height, width = where.shape
    ys, xs = np.mgrid[0.5:height:step, 0.5:width:step]
    grid = np.stack((xs.ravel(), ys.ravel()), -1)
    wanted = crowd[ys.ravel().astype(int), xs.ravel().astype(int)]
    grid = np.repeat(grid, np.floor(wanted + rng.random(len(grid))).astype(int), axis=0)
    pixels = grid + rng.uniform(-0.3 * step, 0.3 * step, grid.shape)
    pixels = pixels.clip(0, (width - 1, height - 1))
    cell = pixels.astype(int)
    return pixels[where[cell[:, 1], cell[:, 0]]]


def _nearest_landmark(neutral: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from scipy.spatial import cKDTree

    distance, rows = cKDTree(neutral[:468]).query(points)
    return rows, distance


def _as_gaussians(capture: Capture, points: Points) -> Gaussians:
    n = len(points.positions)
    sh = np.zeros((n, 1, 3), np.float32)
    sh[:, 0] = (points.colors - 0.5) / SH_C0
    quats = np.tile(np.array([1, 0, 0, 0], np.float32), (n, 1))
    chin = mean_face(capture)[CHIN, 1]
    bone = (chin + 0.045 - points.positions[:, 1]) / 0.012
    t = torch.from_numpy
    return Gaussians(
        means=t(points.positions.astype(np.float32)),
        quats=t(quats),
        log_scales=t(np.log(0.6 * points.spacing)[:, None].repeat(3, 1).astype(np.float32)),
        opacity_logits=torch.full((n,), 1.0),
        sh=t(sh),
        bone_logits=t(bone.clip(-6, 6).astype(np.float32)),
        dynamic=t(points.dynamic),
        corners=t(points.corners),
        corner_weights=t(points.weights),
    )
