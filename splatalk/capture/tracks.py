"""From the measurements of all frames to Tracks: poses, face in its own frame, expression, gaze, and which frames the
solved face fits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy.signal import savgol_filter

from splatalk.avatar.controls import BLENDSHAPES
from splatalk.avatar.face_mesh import N_SKIN, eye_opening, mouth_opening
from splatalk.capture.dataset import Tracks
from splatalk.capture.gaze import gaze_angles
from splatalk.capture.geometry import vector_from_rotation
from splatalk.capture.measurements import Measurements
from splatalk.capture.pose import Solution, solve
from splatalk.capture.skin_pose import SkinPoses, refine, reshape_model
from splatalk.capture.smooth import fill_gaps, smooth_poses
from splatalk.progress import bar

FACE_MIDDLE = np.array([0.0, 0.03, -0.08])
"""Between eyes and mouth, head frame, metres."""
_RESIDUAL_FACTOR = 3.5  # of the usual residual, above which the face is taken for hidden or mistaken
_LEAST_RESIDUAL = 0.8  # pixels that are no reason to leave a frame out
_WINDOW = 5
SLOW_SHAPES = [i for i, name in enumerate(BLENDSHAPES) if not name.startswith("eye")]
"""Curves that are smoothed; a blink is over too soon for that."""


@dataclasses.dataclass
class Solved:
    """Tracks with the torso still at the head's place, and what was found on the way.

    Args:
        tracks: see ``Tracks``.
        solution: of the joint solve, smoothed poses in it.
        reasons: per unfit frame, why, in words of ``capture.reasons``.
        skin: what following the skin found; None when the poses are the landmarks' own.
    """

    tracks: Tracks
    solution: Solution
    reasons: dict[int, str]
    skin: SkinPoses | None = None


def assemble(
    rows: Measurements,
    width: int,
    height: int,
    fps: float,
    focal: float | None = None,
    gray: Callable[[int], np.ndarray] | None = None,
) -> Solved:
    """Solve the clip.

    Args:
        rows: N frames of measurements.
        width, height: of the frames, pixels.
        fps: of the frames.
        focal: pixels, when known.
        gray: gives a frame as (H, W) uint8; without it, poses come from landmarks alone.
    """
    found = rows.found
    landmarks = fill_gaps(rows.landmarks, found)
    shapes = np.clip(fill_gaps(rows.blendshapes, found), 0.0, 1.0)
    solution = solve(landmarks, shapes, found, width, height, focal)
    reasons = unfit(found, solution.residual)
    valid = np.ones(len(found), bool)
    valid[list(reasons)] = False
    in_head = to_head(landmarks[..., :2], solution, width, height)
    in_head = fill_gaps(in_head, valid)
    solution.rotation, solution.translation = smooth_poses(
        solution.rotation, solution.translation, FACE_MIDDLE, np.where(valid, 1.0, 0.0), fps
    )
    skin = None
    if gray is not None:
        skin = _by_skin(rows, shapes, solution, valid, gray, (width, height), fps)
    if skin is not None:
        in_head = skin.reshaped(in_head, FACE_MIDDLE)
        shift = usual_shift(in_head, to_head(landmarks[..., :2], solution, width, height), valid)
        in_head += shift
        solution.model.neutral += shift
    poses = solution.head_pose
    shapes = fill_gaps(shapes, valid)
    shapes[:, SLOW_SHAPES] = np.clip(steady_curves(shapes[:, SLOW_SHAPES]), 0.0, 1.0)
    to_camera = -np.einsum("nji,nj->ni", solution.rotation, solution.translation)
    to_camera /= np.linalg.norm(to_camera, axis=-1, keepdims=True)
    reference = choose_reference(poses, in_head, shapes, valid)
    face = landmarks[:, :N_SKIN, :2]
    tracks = Tracks(
        landmarks=landmarks[..., :2],
        landmarks_head=in_head,
        neutral=solution.model.shape(solution.terms[reference]),
        blendshapes=shapes,
        gaze=steady_curves(gaze_angles(in_head, to_camera)),
        head_pose=poses,
        torso_pose=poses.copy(),
        valid=valid,
        face_box=np.concatenate([face.min(axis=1), face.max(axis=1)], axis=1),
        reference_frame=reference,
    )
    return Solved(tracks, solution, reasons, skin)


def _by_skin(
    rows: Measurements,
    shapes: np.ndarray,
    solution: Solution,
    valid: np.ndarray,
    gray: Callable[[int], np.ndarray],
    size: tuple[int, int],
    fps: float,
) -> SkinPoses | None:
    """Replace the solution's poses and face by those that the skin asks for."""
    sharpness = np.where(valid, rows.sharpness / np.median(rows.sharpness[rows.found]), np.nan)
    with bar("Following the skin", total=len(valid)) as step:
        found = refine(solution, shapes, sharpness, gray, size, FACE_MIDDLE, step)
    if found is not None:
        solution.rotation, solution.translation = smooth_poses(
            found.rotation, found.translation, FACE_MIDDLE, np.where(valid, np.maximum(found.support, 0.05), 0.0), fps
        )
        solution.model = reshape_model(solution.model, found, FACE_MIDDLE)
    return found


def unfit(found: np.ndarray, residual: np.ndarray) -> dict[int, str]:
    """Frames without a face, and those that the solved face does not fit, with the reason."""
    most = max(_RESIDUAL_FACTOR * np.median(residual[found]), _LEAST_RESIDUAL)
    hidden = found & (residual > most)
    return {i: "face hidden" if hidden[i] else "no face" for i in np.flatnonzero(~found | hidden).tolist()}


def to_head(points: np.ndarray, solution: Solution, width: int, height: int) -> np.ndarray:
    """Lift 2D landmarks into the head frame at the model's depth: they project exactly back onto themselves.

    Args:
        points: (N, 478, 2) pixels.

    Returns:
        (N, 478, 3) metres.
    """
    out = np.empty((*points.shape[:2], 3))
    centre = np.array([width / 2, height / 2])
    for begin in range(0, len(points), 256):
        part = slice(begin, begin + 256)
        shape = solution.model.shape(solution.terms[part])
        rotation, translation = solution.rotation[part], solution.translation[part]
        depth = np.einsum("nj,npj->np", rotation[:, 2], shape) + translation[:, 2:]
        flat = (points[part] - centre) / solution.focal * depth[..., None]
        camera = np.concatenate([flat, depth[..., None]], axis=-1)
        out[part] = np.einsum("nji,npj->npi", rotation, camera - translation[:, None, :])
    return out


def usual_shift(points: np.ndarray, seen: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """(478, 3) metres, by how much points (N, 478, 3) usually miss where they are seen.

    Once poses come from the skin, landmarks no longer project onto themselves: what changes from frame to frame is the
    landmark network's error and stays out of the face, what is always so belongs to its shape.
    """
    return np.median(seen[valid] - points[valid], axis=0)


def steady_curves(curves: np.ndarray) -> np.ndarray:
    """Local quadratics over five frames (Savitzky and Golay 1964) on (N, D) curves: noise goes, a closure of two
    frames stays.
    """
    if len(curves) < _WINDOW:
        return curves
    return savgol_filter(curves, _WINDOW, 2, axis=0, mode="interp")


def choose_reference(poses: np.ndarray, in_head: np.ndarray, shapes: np.ndarray, valid: np.ndarray) -> int:
    """A frame with the head as it usually is, mouth closed, eyes open."""
    usual = np.median(poses[valid, :3, 3], axis=0)
    from_front = np.linalg.norm(vector_from_rotation(poses[:, :3, :3]), axis=-1)
    shift = np.linalg.norm(poses[:, :3, 3] - usual, axis=-1)
    mouth = mouth_opening(in_head)
    eyes = eye_opening(in_head).mean(axis=-1)
    score = from_front / 0.2 + shift / 0.03 + mouth / 0.004 + np.maximum(np.median(eyes) - eyes, 0.0) / 0.05
    score += 2.0 * np.maximum(shapes.max(axis=1) - 0.5, 0.0)
    return int(np.argmin(np.where(valid, score, np.inf)))


def reprojection(tracks: Tracks, focal: float, width: int, height: int) -> np.ndarray:
    """(N,) mean distance in pixels between landmarks and the projected ``landmarks_head``."""
    camera = np.einsum("nij,npj->npi", tracks.head_pose[:, :3, :3], tracks.landmarks_head)
    camera = camera + tracks.head_pose[:, None, :3, 3]
    seen = focal * camera[..., :2] / camera[..., 2:] + np.array([width / 2, height / 2])
    return np.linalg.norm(seen - tracks.landmarks, axis=-1).mean(axis=1)
