"""The picture of the quality report: frames with mesh and matte, plate, plots of pose, face and sound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from splatalk.avatar.face_mesh import (
    EYE_LEFT,
    EYE_RIGHT,
    FACE_OVAL,
    FACE_TRIANGLES,
    LIPS_INNER,
    LIPS_OUTER,
    mouth_opening,
)
from splatalk.capture.quality import head_angles
from splatalk.capture.tracks import Solved

_CELL = 300
_PAPER, _INK = (250, 250, 248), (50, 50, 55)
_COLOURS = ((200, 60, 50), (40, 120, 200), (60, 150, 80))
_SHIFT = 4  # fractional bits of drawing coordinates
_EDGES = np.unique(np.sort(FACE_TRIANGLES[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1), axis=0)


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


def draw_report(
    frame: Callable[[int], np.ndarray],
    matte: Callable[[int], np.ndarray],
    plate: np.ndarray,
    solved: Solved,
    samples: np.ndarray,
    summary: dict[str, Any],
    fps: float,
) -> np.ndarray:
    """(H, W, 3) uint8: a contact sheet over plots over text."""
    tracks = solved.tracks
    n = len(tracks.valid)
    chosen = [tracks.reference_frame, *np.linspace(0, n - 1, 6).round().astype(int).tolist()]
    focal = solved.solution.focal
    cells = [
        _cell(overlay(frame(i), matte(i), tracks.landmarks[i], tracks.head_pose[i], focal), f"{i / fps:.1f} s")
        for i in chosen
    ]
    cells.append(_cell(plate, "background"))
    sheet = np.concatenate([np.concatenate(cells[:4], axis=1), np.concatenate(cells[4:], axis=1)], axis=0)
    width = sheet.shape[1]
    seconds = n / fps
    angles = np.degrees(head_angles(tracks.head_pose))
    box = tracks.face_box
    size = (box[:, 2:] - box[:, :2]).max(axis=1)
    loudness = _loudness(samples, n)
    shapes = tracks.blendshapes
    plots = [
        plot(
            width // 2,
            [("yaw", angles[:, 0]), ("pitch", angles[:, 1]), ("roll", angles[:, 2])],
            "Head, degrees",
            seconds,
        ),
        plot(width // 2, [("inner lips, mm", mouth_opening(tracks.landmarks_head) * 1000)], "Mouth opening", seconds),
        plot(width // 2, [("face, px", size)], "Face size", seconds),
        plot(width // 2, [("left", shapes[:, 8]), ("right", shapes[:, 9])], "Blink", seconds),
        plot(width // 2, [("dB", loudness)], "Sound level", seconds),
        plot(width // 2, [("torso x", _torso(tracks)[:, 0]), ("y", _torso(tracks)[:, 1])], "Torso shift, mm", seconds),
    ]
    rows = [np.concatenate(plots[k : k + 2], axis=1) for k in range(0, len(plots), 2)]
    return np.concatenate([sheet, *rows, _text(width, _lines(summary))], axis=0)


def plot(width: int, curves: list[tuple[str, np.ndarray]], title: str, seconds: float, height: int = 150) -> np.ndarray:
    """A small line plot over time: (height, width, 3) uint8."""
    image = np.full((height, width, 3), _PAPER, dtype=np.uint8)
    left, right, top, bottom = 52, width - 12, 26, height - 20
    values = np.concatenate([curve for _, curve in curves])
    low, high = float(values.min()), float(values.max())
    high = max(high, low + 1e-3)
    for level in (low, (low + high) / 2, high):
        tick = round(bottom - (level - low) / (high - low) * (bottom - top))
        cv2.line(image, (left, tick), (right, tick), (220, 220, 220), 1)
        _write(image, f"{level:.3g}", (6, tick + 4), 0.36)
    cursor = left
    _write(image, title, (cursor, 16), 0.45)
    cursor += 12 + 9 * len(title)
    for k, (name, curve) in enumerate(curves):
        x = np.linspace(left, right, len(curve))
        y = bottom - (curve - low) / (high - low) * (bottom - top)
        line = np.round(np.stack([x, y], axis=1) * (1 << _SHIFT)).astype(np.int32)
        cv2.polylines(image, [line], False, _COLOURS[k % 3], 1, cv2.LINE_AA, _SHIFT)
        _write(image, name, (cursor, 16), 0.4, _COLOURS[k % 3])
        cursor += 10 + 8 * len(name)
    _write(image, "0", (left - 3, height - 6), 0.36)
    _write(image, f"{seconds:.1f} s", (right - 40, height - 6), 0.36)
    return image


def _torso(tracks: Any) -> np.ndarray:
    return (tracks.torso_pose[:, :3, 3] - tracks.torso_pose[tracks.reference_frame, :3, 3]) * 1000.0


def _loudness(samples: np.ndarray, n: int) -> np.ndarray:
    block = max(len(samples) // max(n, 1), 1)
    power = (samples[: block * n].reshape(-1, block) ** 2).mean(axis=1)
    return 10.0 * np.log10(power + 1e-8)


def _cell(image: np.ndarray, caption: str) -> np.ndarray:
    scale = _CELL / max(image.shape[:2])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    out = np.full((_CELL, _CELL, 3), _PAPER, dtype=np.uint8)
    out[: small.shape[0], : small.shape[1]] = small[:_CELL, :_CELL]
    cv2.rectangle(out, (0, _CELL - 18), (10 + 8 * len(caption), _CELL), (20, 20, 20), -1)
    _write(out, caption, (4, _CELL - 5), 0.42, (255, 255, 255))
    return out


def _lines(summary: dict[str, Any]) -> list[str]:
    sound = summary["sound"]
    lines = [
        f"{summary['seconds']} s, {summary['frames_used']} of {summary['frames']} frames used; face "
        f"{summary['face_size_px']:.0f} px; focal {summary['focal_px']:.0f} px; "
        f"reprojection {summary['reprojection_px']:.2f} px",
        f"sound: speech {sound['speech_db']} dB, noise {sound['noise_db']} dB; background seen "
        f"{summary['background_seen']:.0%}; wobble {summary['wobble']['rotation_deg']:.3f} deg",
    ]
    lines += [f"Warning: {text}" for text in summary["warnings"]]
    return lines + [f"Advice: {text}" for text in summary["advice"]]


def _text(width: int, lines: list[str]) -> np.ndarray:
    out = np.full((14 + 20 * len(lines), width, 3), _PAPER, dtype=np.uint8)
    for k, line in enumerate(lines):
        _write(out, line, (12, 22 + 20 * k), 0.46)
    return out


def _write(
    image: np.ndarray, text: str, place: tuple[int, int], size: float, colour: tuple[int, int, int] = _INK
) -> None:
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
