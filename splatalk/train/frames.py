"""Recorded frames for training: which one next, and reading it ahead of time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch

from splatalk.avatar.face_mesh import LIPS_INNER, LIPS_OUTER, mouth_opening
from splatalk.capture.dataset import Capture
from splatalk.train.losses import Target

AHEAD = 3
"""Frames read before they are needed."""


class FrameSampler:
    """Which frame a step trains on: half of the time any, half of the time one drawn evenly over mouth opening.

    A closed mouth fills most recordings; drawing over opening shows the open one as often (TalkingGaussian, sec. 3.3).
    The choice depends on the seed and the step alone, so a resumed run sees the same frames.
    """

    BINS = 12

    def __init__(self, capture: Capture, seed: int) -> None:
        self.frames = capture.train_frames()
        self.seed = seed
        opening = mouth_opening(capture.tracks.landmarks_head[self.frames])
        edges = np.linspace(np.quantile(opening, 0.02), np.quantile(opening, 0.98), self.BINS + 1)[1:-1]
        bins = np.digitize(opening, edges)
        self.bins = [self.frames[bins == b] for b in range(self.BINS) if np.any(bins == b)]

    def pick(self, step: int) -> int:
        rng = np.random.default_rng((self.seed, step))
        if rng.random() < 0.5:
            return int(rng.choice(self.frames))
        return int(rng.choice(self.bins[rng.integers(len(self.bins))]))


class FrameReader:
    """Targets read by a thread a few steps ahead. Memory does not grow with the recording.

    Args:
        pick: step to frame.
        device: where the targets are wanted.
    """

    def __init__(self, capture: Capture, pick: Callable[[int], int], device: torch.device) -> None:
        self.capture, self.pick, self.device = capture, pick, device
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="frames")
        self.waiting: dict[int, Future[tuple[int, Target]]] = {}

    def get(self, step: int) -> tuple[int, Target]:
        """(frame index, Target) of a step."""
        for ahead in range(step, step + AHEAD):
            if ahead not in self.waiting:
                self.waiting[ahead] = self.pool.submit(self._read, ahead)
        for stale in [s for s in self.waiting if s < step]:
            del self.waiting[stale]
        frame, target = self.waiting.pop(step).result()
        return frame, target.to(self.device)

    def close(self) -> None:
        self.pool.shutdown(cancel_futures=True)

    def _read(self, step: int) -> tuple[int, Target]:
        frame = self.pick(step)
        target = read_target(self.capture, frame)
        return frame, target.pinned() if self.device.type == "cuda" else target


def read_target(capture: Capture, frame: int) -> Target:
    """One recorded frame with its matte and the boxes of face and mouth."""
    size = (capture.width, capture.height)
    landmarks = capture.tracks.landmarks[frame]
    lips = landmarks[list(LIPS_OUTER) + list(LIPS_INNER)]
    return Target(
        image=torch.from_numpy(capture.frame(frame)).float() / 255.0,
        matte=torch.from_numpy(np.ascontiguousarray(capture.matte(frame))).float(),
        face_box=padded_box(landmarks, 0.08, size),
        mouth_box=padded_box(lips, 0.35, size),
    )


def mean_face(capture: Capture) -> np.ndarray:
    """(478, 3) metres, head frame: the face that displacements are measured from, lips slightly parted."""
    return capture.tracks.landmarks_head[capture.train_frames()].mean(0)


def padded_box(points: np.ndarray, pad: float, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Whole-pixel box around points (N, 2), grown by ``pad`` of its longer side, inside a ``size`` (w, h) picture."""
    low, high = points.min(0), points.max(0)
    grow = pad * float((high - low).max())
    x0, y0 = np.floor(low - grow).astype(int).clip(0)
    x1, y1 = np.ceil(high + grow).astype(int)
    x1, y1 = min(int(x1), size[0]), min(int(y1), size[1])
    return int(min(x0, size[0] - 8)), int(min(y0, size[1] - 8)), max(int(x1), 8), max(int(y1), 8)
