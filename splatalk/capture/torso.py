"""Motion of shoulders and chest: corners on the clothes followed from one reference frame into every other.

Every frame is registered to the same reference, so errors do not add up. The motion in the picture (shift, turn, scale) becomes a small
rigid motion in space at the torso's depth. At the reference frame the torso's pose is the head's: canonical space is
the person as seen there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np

from splatalk.avatar.face_mesh import CHIN
from splatalk.capture.geometry import rotation_from_vector
from splatalk.capture.smooth import fill_gaps, low_pass

TORSO_BEHIND_HEAD = 0.03  # of the chest's surface behind the head's origin, metres
_CORNERS = 240
_LOST_PX = 1.0  # forward-backward distance above which a point counts as lost
_FEWEST = 12
_WINDOW = (21, 21)


@dataclasses.dataclass
class TorsoTrack:
    """Similarities of the picture from the reference frame to each frame.

    Args:
        shift: (N, 2) pixels, of the point under the principal axis.
        turn: (N,) radians, clockwise in the picture.
        log_scale: (N,) natural logarithm of the magnification.
        support: (N,) share of the corners that agree; 0 where the frame could not be registered.
    """

    shift: np.ndarray
    turn: np.ndarray
    log_scale: np.ndarray
    support: np.ndarray

    @property
    def reliable(self) -> bool:
        """Whether enough frames were registered for the motion to mean something."""
        return bool((self.support > 0).mean() > 0.5)


class TorsoTracker:
    """Registers frames to the reference.

    Args:
        rgb: (H, W, 3) uint8 reference frame.
        matte: (H, W) float32.
        landmarks: (478, 2) pixels in it.
    """

    def __init__(self, rgb: np.ndarray, matte: np.ndarray, landmarks: np.ndarray) -> None:
        self.gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        self.centre = np.array([rgb.shape[1] / 2, rgb.shape[0] / 2])
        region = torso_region(matte, landmarks)
        corners = cv2.goodFeaturesToTrack(self.gray, _CORNERS, 0.01, 7, mask=region)
        self.corners = np.zeros((0, 2), np.float32) if corners is None else corners.reshape(-1, 2)
        self.enough = len(self.corners) >= _FEWEST

    def register(self, rgb: np.ndarray, guess: np.ndarray) -> tuple[np.ndarray, float]:
        """Find one frame's similarity.

        Args:
            rgb: (H, W, 3) uint8.
            guess: (2, 3) affine map reference → frame to start from.

        Returns:
            (2, 3) map and the share of corners that support it; the guess and 0 where nothing was found.
        """
        if not self.enough:
            return guess, 0.0
        gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        start = (self.corners @ guess[:, :2].T + guess[:, 2]).astype(np.float32)
        options = {"winSize": _WINDOW, "maxLevel": 2, "flags": cv2.OPTFLOW_USE_INITIAL_FLOW}
        moved, found, _ = cv2.calcOpticalFlowPyrLK(self.gray, gray, self.corners, start.copy(), **options)
        back, found_back, _ = cv2.calcOpticalFlowPyrLK(gray, self.gray, moved, self.corners.copy(), **options)
        held = (found.ravel() > 0) & (found_back.ravel() > 0)
        held &= np.linalg.norm(back - self.corners, axis=1) < _LOST_PX
        if held.sum() < _FEWEST:
            return guess, 0.0
        similarity, inliers = cv2.estimateAffinePartial2D(
            self.corners[held], moved[held], method=cv2.RANSAC, ransacReprojThreshold=1.5, maxIters=500
        )
        if similarity is None or inliers.sum() < _FEWEST:
            return guess, 0.0
        return similarity, float(inliers.sum() / len(self.corners))


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
    """Register all frames, walking away from the reference both ways.

    Args:
        frame: gives frame ``i`` as (H, W, 3) uint8.
        step: called once a frame.
    """
    shift, turn, log_scale, support = np.zeros((n_frames, 2)), np.zeros(n_frames), np.zeros(n_frames), np.zeros(n_frames)
    support[reference] = 1.0
    step()
    for indices in (range(reference + 1, n_frames), range(reference - 1, -1, -1)):
        similarity = np.eye(2, 3)
        for i in indices:
            found, support[i] = tracker.register(frame(i), similarity)
            if support[i] > 0:
                similarity = found
                shift[i] = found[:, 2] + found[:, :2] @ tracker.centre - tracker.centre
                turn[i] = np.arctan2(found[1, 0], found[0, 0])
                log_scale[i] = np.log(np.hypot(found[0, 0], found[1, 0]))
            step()
    return TorsoTrack(shift, turn, log_scale, support)


def to_poses(
    track: TorsoTrack, head_at_reference: np.ndarray, reference: int, focal: float, fps: float, cutoff: float = 1.5
) -> np.ndarray:
    """Rigid motions in space.

    A plane at depth Z seen through focal length f moves in the picture by scale s, turn and shift d when it moves to depth Z / s, turns about
    the view axis and shifts by d Z / (s f).

    Args:
        head_at_reference: (4, 4) head pose at the reference frame.
        focal: pixels.
        cutoff: of the smoothing, Hz; breathing and sway are slow.

    Returns:
        (N, 4, 4) canonical → world; equal to ``head_at_reference`` at the reference frame.
    """
    n = len(track.turn)
    poses = np.tile(head_at_reference, (n, 1, 1))
    if not track.reliable:
        return poses
    seen = track.support > 0
    columns = np.concatenate([track.shift, track.turn[:, None], track.log_scale[:, None]], axis=1)
    columns = low_pass(fill_gaps(columns, seen), seen * np.maximum(track.support, 0.1), cutoff, fps)
    columns -= columns[reference]
    depth = head_at_reference[2, 3] + TORSO_BEHIND_HEAD
    scale = np.exp(columns[:, 3])
    motion = np.tile(np.eye(4), (n, 1, 1))
    motion[:, :3, :3] = rotation_from_vector(np.stack([0 * scale, 0 * scale, columns[:, 2]], axis=-1))
    motion[:, :2, 3] = columns[:, :2] * (depth / (scale * focal))[:, None]
    motion[:, 2, 3] = depth / scale - depth
    return motion @ poses
