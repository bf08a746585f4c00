"""Head motion, blinks, gaze and brows in a person's own manner, for any length, without a visible loop.

Pieces of the recording follow each other. A piece is left at a random moment for another whose head is held and moves
alike (the idea of motion graphs: Kovar et al. 2002), and what is left of the difference fades out.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.spatial.transform import Rotation

PIECE_S = (2.5, 7.0)
"""Shortest and longest stay in a piece of the recording, seconds."""
SHORT_PIECE_S = 1.0
"""The same where only some frames of the recording are walked through."""
FADE_S = 0.7
CHOICES = 6
"""The next piece is drawn from this many best ones."""
STYLES = {"calm": 0.5, "natural": 1.0, "lively": 1.5}
"""Name → how far head and brows go from rest, as a multiple of the recorded."""
_LEVER = np.tile([0.12] * 3 + [1.0] * 3, 2)  # metres that the face moves by a radian of turning, by a metre of shift
_LEAST_S = 4.0  # a shorter recording is walked to and fro
_POSE = 12  # columns of motion before the 52
_BLINK = slice(8, 10)  # eyeBlinkLeft and eyeBlinkRight among the 52


class MannerWalk:
    """An endless walk through a person's recorded manner. Deterministic: the same seed gives the same walk.

    Args:
        manner: ``Avatar.manner``: head_pose and torso_pose (M, 4, 4), expression (M, 52), gaze (M, 4).
        rest_head, rest_torso: (4, 4) poses that amplitudes are counted from.
        fps: frames per second of the recording and of the walk.
        seed: of where it starts and goes on.
        amplitude: see ``STYLES``; 0 holds still at rest. Blinks and gaze keep their size.
        rows: (M,) bool, frames of the recording that are walked through; None walks through all.
    """

    def __init__(
        self,
        manner: Mapping[str, np.ndarray],
        rest_head: np.ndarray,
        rest_torso: np.ndarray,
        fps: float,
        seed: int = 0,
        amplitude: float = 1.0,
        rows: np.ndarray | None = None,
    ) -> None:
        self._rest = (np.asarray(rest_head, np.float64), np.asarray(rest_torso, np.float64))
        poses = [relative(manner[key], rest) for key, rest in zip(("head_pose", "torso_pose"), self._rest)]
        self._motion = np.concatenate((*poses, manner["expression"], manner["gaze"]), 1)  # (M, 12 + 52 + 4)
        self._amplitude, self._fps = amplitude, fps
        self._usual = np.median(manner["expression"], 0)
        self._rng = np.random.default_rng(seed)
        self._looks = _looks(self._motion, fps)
        self._forward = len(self._motion) >= _LEAST_S * fps
        self._row = int(self._rng.integers(max(len(self._motion) - round(PIECE_S[0] * fps), 1)))
        self._open = np.ones(len(self._motion), bool) if rows is None or not self._forward else rows
        self._starts = _starts(self._open, round((PIECE_S[0] if rows is None else SHORT_PIECE_S) * fps) + 1)
        if rows is not None and self._forward:
            self._row = int(self._rng.choice(np.flatnonzero(self._starts)))
        self._step = 1
        self._stay = self._draw_stay()
        self._gap, self._faster = np.zeros(self._motion.shape[1]), np.zeros(_POSE)
        self._last: np.ndarray | None = None
        self._speed = np.zeros(_POSE)
        self._since, self._fade = 0, FADE_S * fps
        steps = np.abs(np.diff(self._motion[:, :_POSE] * _LEVER, axis=0)).sum(1)
        self._fastest = max(float(steps.max(initial=0.0)), 1e-5)

    def take(self, n: int) -> dict[str, np.ndarray]:
        """The next ``n`` frames: head_pose and torso_pose (n, 4, 4), expression (n, 52), gaze (n, 4)."""
        now = np.stack([self._next() for _ in range(n)]) if n else np.zeros((0, self._motion.shape[1]))
        head, torso = (absolute(now[:, 6 * k : 6 * k + 6] * self._amplitude, rest) for k, rest in enumerate(self._rest))
        expression = self._usual + (now[:, 12:64] - self._usual) * self._amplitude
        expression[:, _BLINK] = now[:, 12:64][:, _BLINK]
        return {
            "head_pose": head,
            "torso_pose": torso,
            "expression": np.clip(expression, 0.0, 1.0).astype(np.float32),
            "gaze": now[:, 64:].astype(np.float32),
        }

    def _next(self) -> np.ndarray:
        """(68,) the next row of motion."""
        part = min(self._since / self._fade, 1.0)
        now = self._motion[self._row] + (1.0 - _smooth(part)) * self._gap
        now[:_POSE] += part * (1.0 - part) ** 2 * self._fade * self._faster
        if self._last is not None:
            self._speed = now[:_POSE] - self._last
        self._last = now[:_POSE].copy()
        self._advance(now)
        return np.asarray(now)

    def _advance(self, now: np.ndarray) -> None:
        self._since += 1
        self._stay -= 1
        if not self._forward:
            if not 0 <= self._row + self._step < len(self._motion):
                self._step = -self._step
            self._row = int(np.clip(self._row + self._step, 0, len(self._motion) - 1))
        elif self._stay > 0 and self._row + 1 < len(self._motion) and self._open[self._row + 1]:
            self._row += 1
        else:
            self._jump(now)

    def _jump(self, now: np.ndarray) -> None:
        """Go on in another piece, the one that fits best among random ones."""
        row = min(self._row, len(self._looks) - 1)
        cost = np.abs(self._looks - self._looks[row]).sum(1)
        cost[~self._starts] = np.inf
        near = slice(max(row - round(self._fps), 0), row + round(self._fps))
        cost[near] = np.inf
        best = np.argsort(cost)[: CHOICES * 8 : 8]  # neighbours are alike: take spread ones
        best = best[np.isfinite(cost[best])]
        self._row = int(self._rng.choice(best if len(best) else np.flatnonzero(self._starts)))
        self._gap = now - self._motion[self._row]
        self._gap[:_POSE] += self._speed  # the head goes on as it went, and takes on the new speed with the new place
        following = self._motion[min(self._row + 1, len(self._motion) - 1)]
        self._faster = self._speed - (following - self._motion[self._row])[:_POSE]
        self._gap[_POSE:][_BLINK] = 0.0  # lids fade as they are: half a blink must not linger
        # A piece that fits badly is entered slowly: never faster than the person moves.
        self._fade = max(FADE_S * self._fps, 1.5 * np.abs(self._gap[:_POSE] * _LEVER).sum() / self._fastest)
        self._since = 0
        self._stay = max(self._draw_stay(), round(self._fade))

    def _draw_stay(self) -> int:
        return round(self._rng.uniform(*PIECE_S) * self._fps)


def _starts(rows: np.ndarray, length: int) -> np.ndarray:
    """(M,) bool: where a piece may begin, as ``length`` frames of ``rows`` follow; the first frames if none do."""
    together = np.convolve(rows, np.ones(length), "full")[length - 1 :] if len(rows) >= length else np.zeros(len(rows))
    starts = rows & (together >= length)
    if not starts.any():
        starts[np.flatnonzero(rows)[:1]] = True
    return np.asarray(starts)


def _looks(motion: np.ndarray, fps: float) -> np.ndarray:
    """(M, F) what makes two frames alike: pose and how it moves, lids and gaze; about 1 for a visible difference."""
    pose = motion[:, :12] * _LEVER / 0.01  # a centimetre counts 1
    speed = np.gradient(pose, axis=0) * fps * 0.3 if len(pose) > 1 else np.zeros_like(pose)
    lids = motion[:, 12:64][:, _BLINK] * 3.0
    return np.concatenate((pose, speed, lids, motion[:, 64:] * 3.0), 1)


def relative(poses: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """(M, 4, 4) → (M, 6): turned (rotation vector, world axes) and moved (metres) from rest."""
    poses = np.asarray(poses, np.float64)
    turned = Rotation.from_matrix(poses[:, :3, :3] @ rest[:3, :3].T).as_rotvec()
    return np.concatenate((turned, poses[:, :3, 3] - rest[:3, 3]), 1)


def absolute(change: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """The inverse of ``relative``."""
    poses = np.tile(rest, (len(change), 1, 1))
    if len(change):
        poses[:, :3, :3] = Rotation.from_rotvec(change[:, :3]).as_matrix() @ rest[:3, :3]
    poses[:, :3, 3] += change[:, 3:]
    return poses


def _smooth(x: float) -> float:
    x = min(max(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)
