"""One personal face shape and a rigid head pose per frame, solved jointly over the clip for a likely focal length.

Bundle adjustment by alternation: poses by robust Gauss-Newton on the reprojection of all landmarks (each frame on its
own, all at once), then every landmark's neutral place and its linear answer to the expression by ridge regression
with the poses held. Expression has its own terms, so an open jaw or raised brows do not turn the head.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from splatalk.avatar.face_mesh import CHIN, rigidity
from splatalk.capture.geometry import align, rigid
from splatalk.capture.rigid_fit import fit_poses

EYE_CORNERS = (33, 263)
FOREHEAD = 10
# An average adult: distance of the outer eye corners, height from the hairline point to the chin (metres).
MEAN_EYE_WIDTH, MEAN_FACE_HEIGHT = 0.0889, 0.1766
BEHIND_EYES = 0.07  # from the outer eye corners to the origin of the head frame, metres
USUAL_FOCAL, _FOCAL_SPREAD = 1.7, 0.35
"""Focal length over the picture's longer side, with the spread of its logarithm: phones and webcams, cropped or not."""
USUAL_DISTANCE, _DISTANCE_SPREAD = 1.0, 0.35
"""From the camera to the face in metres, with the spread of its logarithm."""
DEPTH_WEIGHT = 0.1
"""Trust in MediaPipe's relative depths against its pixels: about a third as exact. They resist its habit of
understating turns.
"""
_EXPRESSION_TERMS = 12
_FRAMES_FOR_SHAPE = 400
_NOISE_PX = 1.0  # of a landmark at 512 pixels, for the weight of priors


@dataclasses.dataclass
class FaceModel:
    """A person's face: neutral shape and linear expression.

    Args:
        neutral: (478, 3) metres, head frame.
        basis: (K, 478, 3) metres per unit of each expression term.
    """

    neutral: np.ndarray
    basis: np.ndarray

    def shape(self, terms: np.ndarray) -> np.ndarray:
        """(..., K) expression terms → (..., 478, 3) metres, head frame."""
        return self.neutral + np.einsum("...k,kpi->...pi", terms, self.basis)


@dataclasses.dataclass
class Solution:
    """What the joint solve found.

    Args:
        focal: pixels.
        model: the person's face.
        terms: (N, K) expression terms.
        rotation, translation: (N, 3, 3), (N, 3): head frame to camera, metres.
        residual: (N,) robust RMS reprojection error of the firm landmarks, pixels.
    """

    focal: float
    model: FaceModel
    terms: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    residual: np.ndarray

    @property
    def head_pose(self) -> np.ndarray:
        """(N, 4, 4)."""
        return rigid(self.rotation, self.translation)


def solve(
    landmarks: np.ndarray,
    blendshapes: np.ndarray,
    valid: np.ndarray,
    width: int,
    height: int,
    focal: float | None = None,
) -> Solution:
    """Estimate focal length, face and poses.

    Args:
        landmarks: (N, 478, 3) pixels, third column MediaPipe's relative depth.
        blendshapes: (N, 52).
        valid: (N,) bool; other frames get the pose of interpolated landmarks and no say in the shape.
        width, height: of the frames, pixels.
        focal: pixels when known; ``likely_focal`` otherwise.

    Returns:
        poses unsmoothed; world frame = camera frame.
    """
    terms = expression_terms(blendshapes, valid)
    points = landmarks[..., :2] - np.array([width / 2, height / 2])
    noise = _NOISE_PX * max(width, height) / 512
    start = _initial_shape(landmarks[valid])
    chosen = _spread(np.flatnonzero(valid), _FRAMES_FOR_SHAPE)
    if focal is None:
        focal = likely_focal(landmarks[valid], max(width, height))
    problem = _Problem(points[chosen], landmarks[chosen, :, 2], terms[chosen], focal, noise)
    model = FaceModel(start, np.zeros((terms.shape[1], *start.shape)))
    rotation, translation = _initial_poses(landmarks[chosen], points[chosen], start, focal)
    model, rotation, translation, landmark_weight = _alternate(problem, model, rotation, translation, rounds=5)
    model, _, _ = _normalised(model, rotation, translation)
    everything = _Problem(points, landmarks[..., 2], terms, focal, noise)
    rotation, translation = _initial_poses(landmarks, points, model.neutral, focal)
    rotation, translation, residual = solve_poses(everything, model, rotation, translation, landmark_weight, steps=8)
    return Solution(focal, model, terms, rotation, translation, residual)


@dataclasses.dataclass(frozen=True)
class _Problem:
    """Observations.

    Args:
        points: (N, 478, 2) pixels from the principal point.
        depth: (N, 478) MediaPipe's relative depth, pixels.
        terms: (N, K) expression terms.
        focal, noise: pixels.
    """

    points: np.ndarray
    depth: np.ndarray
    terms: np.ndarray
    focal: float
    noise: float


def expression_terms(blendshapes: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """The strongest independent directions of the blendshapes: (N, K), zero mean, unit variance over valid frames."""
    used = blendshapes[valid]
    mean = used.mean(axis=0)
    _, strength, directions = np.linalg.svd(used - mean, full_matrices=False)
    count = int(min(_EXPRESSION_TERMS, (strength > 1e-3 * np.sqrt(len(used))).sum(), max(len(used) // 20, 1)))
    terms = (blendshapes - mean) @ directions[:count].T
    return terms / np.maximum(terms[valid].std(axis=0), 1e-6)


def _spread(indices: np.ndarray, count: int) -> np.ndarray:
    if len(indices) <= count:
        return indices
    return indices[np.linspace(0, len(indices) - 1, count).round().astype(int)]


def _initial_shape(landmarks: np.ndarray) -> np.ndarray:
    """Mean of MediaPipe's relative 3D points after alignment of rotation and scale: (478, 3) metres, head frame."""
    sample = landmarks[_spread(np.arange(len(landmarks)), 200)]
    weight = rigidity() + 1e-3
    shape = sample[len(sample) // 2]
    for _ in range(3):
        scale, rotation, shift = align(sample, shape, weight)
        moved = scale[:, None, None] * np.einsum("nij,npj->npi", rotation, sample) + shift[:, None, :]
        shape = np.median(moved, axis=0)
    return _head_frame(shape)[0]


def _head_frame(shape: np.ndarray) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
    """Bring a shape to the head frame: (shape, scale, rotation, shift) with out = scale · rotation @ (in + shift)."""
    right, left = shape[EYE_CORNERS[0]], shape[EYE_CORNERS[1]]
    x = (left - right) / np.linalg.norm(left - right)
    down = shape[CHIN] - shape[FOREHEAD]
    y = down - x * (down @ x)
    y /= np.linalg.norm(y)
    rotation = np.stack([x, y, np.cross(x, y)])
    scale = float(np.sqrt(MEAN_EYE_WIDTH / np.linalg.norm(left - right) * MEAN_FACE_HEIGHT / np.linalg.norm(down)))
    shift = -(left + right) / 2 - rotation.T @ np.array([0.0, 0.0, BEHIND_EYES]) / scale
    return scale * (shape + shift) @ rotation.T, scale, rotation, shift


def _normalised(
    model: FaceModel, rotation: np.ndarray, translation: np.ndarray
) -> tuple[FaceModel, np.ndarray, np.ndarray]:
    """The same reprojections with the model in the head frame at average human size."""
    neutral, scale, turn, shift = _head_frame(model.neutral)
    new_rotation = rotation @ turn.T
    new_translation = scale * (translation - np.einsum("nij,j->ni", rotation, shift))
    return FaceModel(neutral, scale * model.basis @ turn.T), new_rotation, new_translation


def _initial_poses(
    landmarks: np.ndarray, points: np.ndarray, shape: np.ndarray, focal: float
) -> tuple[np.ndarray, np.ndarray]:
    """Poses from MediaPipe's relative depth under scaled orthography."""
    weight = rigidity() + 1e-3
    centred = np.concatenate([points, landmarks[..., 2:]], axis=-1)
    scale, rotation, shift = align(np.broadcast_to(shape, centred.shape), centred, weight)
    depth = focal / np.maximum(scale, 1e-6)
    return rotation, np.concatenate([shift[:, :2] / np.maximum(scale, 1e-6)[:, None], depth[:, None]], axis=-1)


def _project(
    shapes: np.ndarray, rotation: np.ndarray, translation: np.ndarray, focal: float
) -> tuple[np.ndarray, np.ndarray]:
    """Camera points (N, P, 3) and their pixels from the principal point (N, P, 2)."""
    camera = np.einsum("nij,npj->npi", rotation, shapes) + translation[:, None, :]
    camera[..., 2] = np.maximum(camera[..., 2], 1e-3)
    return camera, focal * camera[..., :2] / camera[..., 2:]


def solve_poses(
    problem: _Problem,
    model: FaceModel,
    rotation: np.ndarray,
    translation: np.ndarray,
    landmark_weight: np.ndarray,
    steps: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Robust Gauss-Newton on every frame: (N, 3, 3), (N, 3) and the (N,) weighted RMS residual in pixels.

    Residuals are weighted as under a Cauchy distribution with the scale of the noise, so a hand over a cheek or a
    slipped outline pulls little.
    """
    used = np.flatnonzero(landmark_weight > 0.02)
    out = []
    for begin in range(0, len(rotation), 256):
        part = slice(begin, begin + 256)
        shapes = model.neutral[used] + np.einsum("nk,kpi->npi", problem.terms[part], model.basis[:, used])
        out.append(
            fit_poses(
                shapes, problem.points[part][:, used], landmark_weight[used], problem.focal,
                rotation[part], translation[part], noise=problem.noise, steps=steps,
                depth=problem.depth[part][:, used], depth_weight=DEPTH_WEIGHT,
            )
        )  # fmt: skip
    rotation, translation, residual = (np.concatenate(parts) for parts in zip(*out))
    return rotation, translation, residual


def _alternate(
    problem: _Problem, model: FaceModel, rotation: np.ndarray, translation: np.ndarray, rounds: int
) -> tuple[FaceModel, np.ndarray, np.ndarray, np.ndarray]:
    """Poses and shape in turn; also the landmarks' final weights."""
    firm, anchor = rigidity(), model.neutral
    weight = np.where(firm > 0.05, firm, 0.0)
    for k in range(rounds):
        rotation, translation, _ = solve_poses(problem, model, rotation, translation, weight, steps=4 if k else 10)
        model = _fit_shape(problem, model, anchor, rotation, translation)
        model, rotation, translation = _normalised(model, rotation, translation)
        _, projected = _project(model.shape(problem.terms), rotation, translation, problem.focal)
        spread = np.median(np.linalg.norm(projected - problem.points, axis=-1), axis=0)
        weight = np.where(firm > 0.05, firm, 0.0) / (1.0 + (spread / problem.noise) ** 2)
    return model, rotation, translation, weight


def _fit_shape(
    problem: _Problem, model: FaceModel, anchor: np.ndarray, rotation: np.ndarray, translation: np.ndarray
) -> FaceModel:
    """Ridge regression of each landmark's place and expression terms with the poses held.

    A point X with camera coordinates R X + t is seen at (u, v) when f (r1·X + t1) = u (r3·X + t3), which is linear in
    X; the rows are divided by the present depth so that errors count in pixels. Depths are held near ``anchor`` and
    hardly follow expression: from the front they show too little.
    """
    n, k = problem.terms.shape
    design = np.concatenate([np.ones((n, 1)), problem.terms], axis=1)  # (N, 1+K)
    camera, projected = _project(model.shape(problem.terms), rotation, translation, problem.focal)
    error = np.linalg.norm(projected - problem.points, axis=-1)
    weight = 1.0 / (1.0 + (error / (2.0 * problem.noise)) ** 2)
    start = np.concatenate([model.neutral[None], np.zeros_like(model.basis)], axis=0)
    start[0, :, 2] = anchor[:, 2]
    inverse_variance = 1.0 / problem.noise**2
    place_sd, depth_sd = 0.03, 0.004  # of a neutral point across and along the view, metres
    give = 0.0005 + 0.004 * (1.0 - rigidity())  # how far one unit of expression may move a point, metres
    out = np.zeros_like(start)
    for p in range(start.shape[1]):
        u = problem.points[:, p]
        rows = problem.focal * rotation[:, :2] - u[:, :, None] * rotation[:, 2:3]  # (N, 2, 3)
        right = u * translation[:, 2:] - problem.focal * translation[:, :2]
        right -= np.einsum("nij,j->ni", rows, start[0, p])
        scale = np.sqrt(weight[:, p] * inverse_variance) / camera[:, p, 2]
        rows, right = rows * scale[:, None, None], right * scale[:, None]
        full = (design[:, None, :, None] * rows[:, :, None, :]).reshape(2 * n, 3 * (k + 1))
        prior = np.empty((k + 1, 3))
        prior[0] = [place_sd**-2, place_sd**-2, depth_sd**-2]
        prior[1:] = np.array([1.0, 1.0, 36.0]) / give[p] ** 2
        # Landmark errors are alike from frame to frame, so the clip counts as far fewer frames than it has.
        normal = full.T @ full * min(1.0, 100.0 / n) + np.diag(prior.reshape(-1))
        gain = full.T @ right.reshape(-1) * min(1.0, 100.0 / n)
        out[:, p] = np.linalg.solve(normal, gain).reshape(k + 1, 3)
    return FaceModel(start[0] + out[0], out[1:])


def likely_focal(landmarks: np.ndarray, side: int) -> float:
    """The focal length in pixels that usual cameras and usual distances make most likely.

    The perspective of one head moving a little is weaker than the bias of landmark networks: searching for the focal
    length by reprojection finds that bias. So two habits decide: focal lengths are near 1.7 times the picture's
    longer side, and people sit about a metre away. A face that fills the picture then means a longer lens, not a
    nearer face.

    Args:
        landmarks: (N, 478, 2 or 3) pixels.
        side: longer side of the picture, pixels.
    """
    right, left = landmarks[:, EYE_CORNERS[0], :2], landmarks[:, EYE_CORNERS[1], :2]
    width = np.linalg.norm(landmarks[:, CHIN, :2] - landmarks[:, FOREHEAD, :2], axis=-1)
    apart = np.linalg.norm(left - right, axis=-1)
    # A turned head narrows the eyes, a nodding one shortens the face: the larger magnification is the true one.
    magnification = np.median(np.maximum(apart / MEAN_EYE_WIDTH, width / MEAN_FACE_HEIGHT))
    from_camera, from_distance = np.log(USUAL_FOCAL * side), np.log(USUAL_DISTANCE * magnification)
    trust = _FOCAL_SPREAD**-2, _DISTANCE_SPREAD**-2
    return float(np.exp((trust[0] * from_camera + trust[1] * from_distance) / sum(trust)))
