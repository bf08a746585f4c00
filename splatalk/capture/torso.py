"""Motion of shoulders and chest: corners on the clothes followed from one reference frame into every other.

Every frame is registered to the same reference, so errors do not add up. A rigid motion in space is fitted to the
corners, which lie on a rounded chest behind the head. At the reference frame the torso's pose is the head's:
canonical space is the person as seen there.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import threading
from collections.abc import Callable

import cv2
import numpy as np

from splatalk.avatar.face_mesh import CHIN
from splatalk.capture import workers
from splatalk.capture.geometry import rigid, rotation_from_vector, skew
from splatalk.capture.skin import structure_tensors
from splatalk.capture.smooth import fill_gaps, low_pass

CHEST_BEFORE_EARS = 0.06
"""How much nearer to the camera an average chest is than the ears, where the head frame has its origin, metres."""
CHEST_RADIUS = 0.25
"""Of the chest seen as an upright cylinder, metres."""
SWAY_CUTOFF = 1.5
"""Hz; breathing and sway are slow."""
_CORNERS, _WINDOW = 180, 21
_PIECE = 256  # frames fitted at once: memory does not grow with the recording
_LOST_PX = 1.0  # forward-backward distance above which a corner counts as lost
_FEWEST = 12
_NOISE_PX = 0.5
_TOLERANCE = (50.0, 20.0, 8.0, 3.0, 3.0, 3.0)  # of the noise, by step: from the reference frame's place all is far
# Spread of what a sitting person's chest does: turn about x, y, z (radians) and shift (metres).
_PRIOR = np.array([0.05, 0.07, 0.1, 0.1, 0.1, 0.1])


@dataclasses.dataclass
class TorsoTrack:
    """Corners of the reference frame found again in each frame.

    Args:
        corners: (M, 2) pixels in the reference frame.
        seen: (N, M, 2) pixels in each frame.
        held: (N, M) bool, whether the corner was found.
        information: (M, 2, 2) how firmly each corner's patch holds it along x and y: eigenvalues 0..1. A stripe holds
            a point across itself only.
    """

    corners: np.ndarray
    seen: np.ndarray
    held: np.ndarray
    information: np.ndarray

    def part(self, begin: int) -> TorsoTrack:
        """``_PIECE`` frames from ``begin`` on."""
        rows = slice(begin, begin + _PIECE)
        return dataclasses.replace(self, seen=self.seen[rows], held=self.held[rows])

    @property
    def support(self) -> np.ndarray:
        """(N,) share of the corners found; 0 where a frame could not be registered."""
        if not len(self.corners):
            return np.zeros(len(self.seen))
        return self.held.mean(axis=1) * (self.held.sum(axis=1) >= _FEWEST)

    @property
    def reliable(self) -> bool:
        """Whether enough frames were registered for the motion to mean something."""
        return bool((self.support > 0).mean() > 0.5)


class TorsoTracker:
    """Finds the corners of the reference frame in other frames.

    Args:
        gray: (H, W) uint8 reference frame.
        matte: (H, W) float32.
        landmarks: (478, 2) pixels in it.
    """

    def __init__(self, gray: np.ndarray, matte: np.ndarray, landmarks: np.ndarray) -> None:
        self.gray = gray
        corners = cv2.goodFeaturesToTrack(self.gray, _CORNERS, 0.01, 7, mask=torso_region(matte, landmarks))
        self.corners = np.zeros((0, 2), np.float32) if corners is None else corners.reshape(-1, 2)
        self.information = _information(structure_tensors(gray, self.corners.round().astype(int), _WINDOW))

    def find(self, gray: np.ndarray, guess: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Find the corners in one frame.

        Args:
            gray: (H, W) uint8.
            guess: (2, 3) affine map reference → frame to start from.

        Returns:
            (M, 2) places, (M,) bool whether held, and the (2, 3) similarity they follow (the guess where too few hold).
        """
        nothing = np.zeros(len(self.corners), bool)
        if len(self.corners) < _FEWEST:
            return self.corners, nothing, guess
        start = (self.corners @ guess[:, :2].T + guess[:, 2]).astype(np.float32)
        moved, found = _flow(self.gray, gray, self.corners, start)
        back, found_back = _flow(gray, self.gray, moved, self.corners)
        held = found & found_back & (np.linalg.norm(back - self.corners, axis=1) < _LOST_PX)
        if held.sum() < _FEWEST:
            return moved, nothing, guess
        similarity, inliers = cv2.estimateAffinePartial2D(
            self.corners[held], moved[held], method=cv2.RANSAC, ransacReprojThreshold=3.0, maxIters=300
        )
        if similarity is None or inliers.sum() < _FEWEST:
            return moved, nothing, guess
        held[np.flatnonzero(held)[inliers.ravel() == 0]] = False
        return moved, held, similarity


def _information(tensors: np.ndarray) -> np.ndarray:
    """Structure tensors (M, 2, 2) on the scale of the stronger ones among them."""
    if not len(tensors):
        return tensors
    values, vectors = np.linalg.eigh(tensors)
    strong = max(float(np.quantile(values[:, 1], 0.9)), 1e-9)
    return (vectors * np.clip(values / strong, 0.0, 1.0)[:, None, :]) @ np.swapaxes(vectors, 1, 2)


def _flow(
    first: np.ndarray, second: np.ndarray, points: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        first, second, points, start.copy(), winSize=(_WINDOW, _WINDOW), maxLevel=2, flags=cv2.OPTFLOW_USE_INITIAL_FLOW
    )
    return moved, found.ravel() > 0


def torso_region(matte: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(H, W) uint8 mask of the person clearly below the chin."""
    height, width = matte.shape
    face_height = float(np.ptp(landmarks[:468, 1]))
    margin = max(3, round(0.01 * max(height, width)))
    solid = cv2.erode((matte > 0.9).astype(np.uint8), np.ones((2 * margin + 1,) * 2, np.uint8))
    top = int(np.clip(landmarks[CHIN, 1] + 0.35 * face_height, 0, height))
    if height - top < 0.08 * height:  # a close shot: take what there is below the chin
        top = int(np.clip(landmarks[CHIN, 1] + 0.12 * face_height, 0, height))
    solid[:top] = 0
    solid[height - margin :] = 0
    return solid * 255


def track(
    tracker: TorsoTracker, frame: Callable[[int], np.ndarray], n_frames: int, reference: int, step: Callable[[], object]
) -> TorsoTrack:
    """Register all frames, walking away from the reference both ways at once.

    Args:
        frame: gives frame ``i`` as (H, W) uint8; called from two threads.
        step: called once a frame, by one thread at a time.
    """
    seen = np.tile(tracker.corners, (n_frames, 1, 1))
    held = np.zeros(seen.shape[:2], bool)
    held[reference] = True
    one_at_a_time = threading.Lock()

    def walk(indices: range) -> None:
        similarity = np.eye(2, 3)
        for i in indices:
            seen[i], held[i], similarity = tracker.find(frame(i), similarity)
            with one_at_a_time:
                step()

    step()
    ways = range(reference + 1, n_frames), range(reference - 1, -1, -1)
    with workers.one_thread_a_call(), concurrent.futures.ThreadPoolExecutor(len(ways)) as pool:
        list(pool.map(walk, ways))
    return TorsoTrack(tracker.corners, seen, held, tracker.information)


def to_poses(
    track: TorsoTrack, head_at_reference: np.ndarray, reference: int, focal: float, size: tuple[int, int], fps: float
) -> np.ndarray:
    """Rigid motions in space that explain the corners.

    Args:
        head_at_reference: (4, 4) head pose at the reference frame.
        focal: pixels.
        size: (width, height) of the frames.

    Returns:
        (N, 4, 4) canonical → world; equal to ``head_at_reference`` at the reference frame.
    """
    if not track.reliable:
        return np.tile(head_at_reference, (len(track.seen), 1, 1))
    centre = np.array(size) / 2
    chest = _on_chest(track.corners - centre, head_at_reference, focal)
    middle = chest.mean(axis=0)
    motion = np.concatenate(
        [_fit(chest - middle, middle, track.part(begin), centre, focal) for begin in range(0, len(track.seen), _PIECE)]
    )
    known = track.support > 0
    motion = low_pass(fill_gaps(motion, known), np.where(known, np.maximum(track.support, 0.1), 0.0), SWAY_CUTOFF, fps)
    motion -= motion[reference]
    rotation = rotation_from_vector(motion[:, :3])
    return rigid(rotation, middle + motion[:, 3:] - rotation @ middle) @ head_at_reference


def _on_chest(points: np.ndarray, head: np.ndarray, focal: float) -> np.ndarray:
    """Lift (M, 2) pixels from the principal point onto the chest: (M, 3) metres in the camera frame."""
    front = head[2, 3] - CHEST_BEFORE_EARS
    across = points[:, 0] / focal * front - head[0, 3]
    depth = front + np.minimum(across**2 / (2 * CHEST_RADIUS), CHEST_RADIUS)
    return np.concatenate([points / focal * depth[:, None], depth[:, None]], axis=1)


def _fit(shape: np.ndarray, middle: np.ndarray, track: TorsoTrack, centre: np.ndarray, focal: float) -> np.ndarray:
    """Gauss-Newton with a prior on every frame: (N, 6) turn about ``middle`` (axis times angle) and shift.

    Args:
        shape: (M, 3) metres about ``middle``.
        centre: (2,) the principal point, pixels.
    """
    seen = track.seen - centre
    motion = np.zeros((len(seen), 6))
    prior = np.diag(_PRIOR**-2.0)
    # Corners drift together with light and folds, so they count as a few dozen, not as hundreds.
    trust = track.held * np.minimum(1.0, 40.0 / np.maximum(track.held.sum(axis=1), 1))[:, None] / _NOISE_PX**2
    for tolerance in _TOLERANCE:
        turned = np.einsum("nij,mj->nmi", rotation_from_vector(motion[:, :3]), shape)
        camera = turned + middle + motion[:, None, 3:]
        projected = focal * camera[..., :2] / camera[..., 2:]
        error = projected - seen
        square = np.einsum("nmi,mij,nmj->nm", error, track.information, error)
        weight = trust / (1.0 + square / (tolerance * _NOISE_PX) ** 2)
        by_point = np.zeros((*camera.shape[:2], 2, 3))
        by_point[..., 0, 0] = by_point[..., 1, 1] = focal / camera[..., 2]
        by_point[..., :, 2] = -projected / camera[..., 2:]
        jacobian = np.concatenate([-by_point @ skew(turned), by_point], axis=-1)
        scaled = (weight[..., None, None] * (track.information @ jacobian)).reshape(len(seen), -1, 6)
        normal = np.swapaxes(jacobian.reshape(len(seen), -1, 6), 1, 2) @ scaled + prior
        gradient = np.einsum("nka,nk->na", scaled, error.reshape(len(seen), -1)) + motion @ prior
        motion = motion - np.linalg.solve(normal, gradient[..., None])[..., 0]
    return motion
