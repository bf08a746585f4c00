"""Following the skin: where each frame shows the points of the keyframes nearest to it in pose.

The frame is first drawn as the keyframe would show it (``Keyframe.warp``), so what is left to find is the error of the
pose it was drawn with: a fraction of a pixel, found by the pyramidal method of Lucas and Kanade (Bouguet 2001).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from splatalk.capture import skin, workers
from splatalk.capture.skin import Keyframe

PER_FRAME = 3
"""Keyframes a frame is compared with."""
_LOST_PX = 0.6  # forward-backward distance above which a point counts as lost
_FARTHEST_PX = 12.0  # more than any landmark pose is wrong


@dataclasses.dataclass
class Sightings:
    """Points of keyframes found in N frames, PER_FRAME · M of them a frame.

    Args:
        point: (N, Q) index into all keyframes' points joined; -1 where a keyframe has fewer.
        seen: (N, Q, 2) float32 pixels in the frame (pixel centres at .5).
        weight: (N, Q) float32, 0 where the point is lost.
    """

    point: np.ndarray
    seen: np.ndarray
    weight: np.ndarray

    def rows(self, frames: np.ndarray) -> Sightings:
        """Those of some frames."""
        return Sightings(self.point[frames], self.seen[frames], self.weight[frames])


class SkinTracker:
    """Finds the keyframes' points in frames whose pose is nearly known.

    Args:
        keys: the keyframes.
        focal: pixels.
        size: (width, height) of the frames.
    """

    def __init__(self, keys: Sequence[Keyframe], focal: float, size: tuple[int, int]) -> None:
        self.keys, self.focal, self.centre = keys, focal, np.array(size) / 2
        self.first = np.cumsum([0, *(len(key.points) for key in keys)])
        self.most = max((len(key.points) for key in keys), default=0)

    def find(
        self, gray: np.ndarray, near: np.ndarray, trust: np.ndarray, rotation: np.ndarray, translation: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One frame.

        Args:
            gray: (H, W) uint8.
            near, trust: (C,) keyframes to compare with, and the weight of each.
            rotation, translation: its head pose, nearly.

        Returns:
            a row of ``Sightings``.
        """
        count = len(near) * self.most
        point, seen, weight = np.full(count, -1), np.zeros((count, 2), np.float32), np.zeros(count, np.float32)
        for slot, (k, share) in enumerate(zip(near, trust)):
            key = self.keys[k]
            if not len(key.points):
                continue
            part = slice(slot * self.most, slot * self.most + len(key.points))
            point[part] = np.arange(self.first[k], self.first[k + 1])
            if share > 1e-3:
                seen[part], held = _compare(gray, key, key.warp(rotation, translation, self.focal, self.centre))
                weight[part] = share * held
        return point, seen, weight


def follow(
    tracker: SkinTracker,
    frame: Callable[[int], np.ndarray],
    frames: Sequence[int] | np.ndarray,
    near: np.ndarray,
    trust: np.ndarray,
    rotation: np.ndarray,
    translation: np.ndarray,
    step: Callable[[], object],
) -> Sightings:
    """Find the points in many frames.

    Args:
        frame: gives a frame as (H, W) uint8; called from several threads.
        frames: (N,) which.
        near, trust: (N, C), see ``skin.nearest``.
        rotation, translation: (N, 3, 3), (N, 3) head poses, nearly.
        step: called once a frame.
    """

    def find(row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return tracker.find(frame(int(frames[row])), near[row], trust[row], rotation[row], translation[row])

    rows = workers.each(find, len(frames), step)
    return Sightings(*(np.stack(part) for part in zip(*rows)))


def _compare(gray: np.ndarray, key: Keyframe, warp: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(M, 2) pixels at which ``gray`` shows the keyframe's points, and (M,) bool whether they were found."""
    drawn = skin.evened(_sampled(gray, warp))
    moved, found = _flow(key.picture, drawn, key.points, key.points)
    back, found_back = _flow(drawn, key.picture, moved, key.points)
    held = found & found_back & (np.linalg.norm(back - key.points, axis=1) < _LOST_PX)
    held &= np.linalg.norm(moved - key.points, axis=1) < _FARTHEST_PX
    at = _sampled(warp, moved[:, None])[:, 0]
    held &= (at > 2).all(axis=1) & (at < np.array(gray.shape[::-1]) - 3).all(axis=1)
    return at + 0.5, held


def _sampled(image: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(H, W, ...) image at (h, w, 2) float32 pixel indices."""
    columns, rows = (np.ascontiguousarray(at[..., k]) for k in range(2))
    return cv2.remap(image, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _flow(
    first: np.ndarray, second: np.ndarray, points: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        first, second, points, start.copy(), winSize=(skin.WINDOW, skin.WINDOW), maxLevel=2,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW, criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.01),
    )  # fmt: skip
    return moved, found.ravel() > 0
