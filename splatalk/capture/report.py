"""The quality report of a recording: pictures picked from it, and the page in which they stand."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from splatalk.avatar.face_mesh import (
    EYE_LEFT,
    EYE_RIGHT,
    FACE_OVAL,
    FACE_TRIANGLES,
    LIPS_INNER,
    LIPS_OUTER,
)
from splatalk.avatar.mouth_basis import mouth_opening_and_width
from splatalk.capture.quality import Evidence
from splatalk.capture.seeing import head_angles

_SIDE, _QUALITY = 384, 80
_SHIFT = 4  # fractional bits of drawing coordinates
_EDGES = np.unique(np.sort(FACE_TRIANGLES[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1), axis=0)
_MOST_WORST = 4
_CHECKER = 24  # pixels


@dataclasses.dataclass(frozen=True)
class Shot:
    """A picture of the report.

    Args:
        caption: plain text.
        jpeg: the encoded picture.
        width, height: of it, pixels.
    """

    caption: str
    jpeg: bytes
    width: int
    height: int


@dataclasses.dataclass(frozen=True)
class Shots:
    """All pictures of the report: the head at its farthest, what was cut out, and the frames that are worst."""

    poses: list[Shot]
    parts: list[Shot]
    worst: list[Shot]


def overlay(
    rgb: np.ndarray, matte: np.ndarray, landmarks: np.ndarray, head_pose: np.ndarray | None = None, focal: float = 0.0
) -> np.ndarray:
    """A frame with the mesh, the outline of the matte and, when given, the axes of the head.

    Args:
        rgb: (H, W, 3) uint8.
        matte: (H, W) float32.
        landmarks: (478, 2) pixels.
        head_pose: (4, 4); ``focal`` pixels goes with it.
    """
    out = rgb.copy()
    outline, _ = cv2.findContours((matte > 0.5).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(out, outline, -1, (255, 230, 0), 1, cv2.LINE_AA)
    points = np.round((landmarks - 0.5) * (1 << _SHIFT)).astype(np.int32)
    mesh = out.copy()
    cv2.polylines(mesh, list(points[_EDGES]), False, (120, 255, 200), 1, cv2.LINE_AA, _SHIFT)
    out = cv2.addWeighted(mesh, 0.35, out, 0.65, 0)
    loops = [points[list(loop)] for loop in (FACE_OVAL, LIPS_OUTER, LIPS_INNER, EYE_LEFT, EYE_RIGHT)]
    cv2.polylines(out, loops, True, (80, 255, 120), 1, cv2.LINE_AA, _SHIFT)
    if head_pose is not None:
        _draw_axes(out, head_pose, focal)
    return out


def _draw_axes(image: np.ndarray, head_pose: np.ndarray, focal: float) -> None:
    tips = np.array([[0, 0, -0.1], [0.08, 0, -0.1], [0, 0.08, -0.1], [0, 0, -0.18]]) @ head_pose[:3, :3].T
    camera = tips + head_pose[:3, 3]
    pixels = focal * camera[:, :2] / camera[:, 2:] + np.array([image.shape[1] / 2, image.shape[0] / 2])
    pixels = np.round((pixels - 0.5) * (1 << _SHIFT)).astype(int)
    for tip, colour in zip(pixels[1:], ((255, 60, 60), (60, 220, 60), (70, 110, 255))):
        cv2.line(image, tuple(map(int, pixels[0])), tuple(map(int, tip)), colour, 2, cv2.LINE_AA, _SHIFT)


def shots(seen: Evidence) -> Shots:
    """Pick and draw the pictures, one frame in memory at a time."""
    tracks = seen.solved.tracks
    angles = np.degrees(head_angles(tracks.head_pose))
    used = seen.used if len(seen.used) else np.arange(len(angles))
    yaw, pitch = angles[used, 0], angles[used, 1] - np.median(angles[used, 1])
    opening = mouth_opening_and_width(tracks.landmarks_head[used])[:, 0]
    chosen = [
        (tracks.reference_frame, "Looking ahead"),
        (used[yaw.argmax()], f"Left, {yaw.max():+.0f}°"),
        (used[yaw.argmin()], f"Right, {yaw.min():+.0f}°"),
        (used[pitch.argmax()], f"Up, {pitch.max():+.0f}°"),
        (used[pitch.argmin()], f"Down, {pitch.min():+.0f}°"),
        (used[opening.argmax()], f"Mouth open, {1000 * opening.max():.0f} mm"),
    ]
    poses = [_with_mesh(seen, int(i), f"{text}, {i / seen.fps:.1f} s") for i, text in chosen]
    reference = tracks.reference_frame
    parts = [
        _shot(_on_checkers(seen.frame(reference), seen.matte(reference)), f"Cut out, {reference / seen.fps:.1f} s"),
        _shot(seen.plate.image, f"Background, {seen.plate.seen:.0%} of it seen, the rest filled in"),
    ]
    return Shots(poses, parts, [_with_mesh(seen, i, text) for i, text in worst_frames(seen)])


def worst_frames(seen: Evidence) -> list[tuple[int, str]]:
    """Frames to look at with what is wrong: one for each reason to leave some out, then the poorest that are used."""
    middle: dict[str, list[int]] = {}
    for i, reason in sorted(seen.solved.reasons.items()):
        middle.setdefault(reason, []).append(i)
    by_count = sorted(middle.items(), key=lambda item: -len(item[1]))
    out = [(frames[len(frames) // 2], f"left out: {reason}") for reason, frames in by_count]
    used = seen.used
    if len(used):
        residual, sharpness = seen.solved.solution.residual[used], seen.rows.sharpness[used]
        out.append((int(used[residual.argmax()]), f"used: mesh off by {residual.max():.1f} px, the most"))
        out.append((int(used[sharpness.argmin()]), "used: the least sharp"))
    return [(i, f"{i / seen.fps:.1f} s, {text}") for i, text in out[:_MOST_WORST]]


def _with_mesh(seen: Evidence, i: int, caption: str) -> Shot:
    tracks = seen.solved.tracks
    focal = seen.solved.solution.focal
    return _shot(overlay(seen.frame(i), seen.matte(i), tracks.landmarks[i], tracks.head_pose[i], focal), caption)


def _on_checkers(rgb: np.ndarray, matte: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(matte.shape) // _CHECKER
    grey = np.where((rows + columns) % 2, 205.0, 235.0)[..., None]
    alpha = matte[..., None]
    return np.asarray((alpha * rgb + (1.0 - alpha) * grey + 0.5).astype(np.uint8))


def _shot(image: np.ndarray, caption: str) -> Shot:
    scale = min(_SIDE / max(image.shape[:2]), 1.0)
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise ValueError(f"an image of {image.shape} cannot be encoded")
    return Shot(caption, data.tobytes(), small.shape[1], small.shape[0])
