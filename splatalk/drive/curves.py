"""Curves of ARKit names as phones and face trackers record them: CSV in, CSV out, and onto an avatar.

Two layouts are read: this program's own (a ``time`` column in seconds and ARKit names) and the one of Live Link Face
(``Timecode`` as hours:minutes:seconds:frames, names with a capital, head turns in radians).
"""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from pathlib import Path

import numpy as np

from splatalk import files
from splatalk.avatar.controls import BLENDSHAPES, MOUTH_SHAPES, Performance
from splatalk.avatar.model import Avatar
from splatalk.drive.adjust import mouth_of_curves
from splatalk.drive.from_audio import manner_walk, still
from splatalk.drive.motion_columns import GAZE_COLUMNS, POSE_COLUMNS, pose_columns, poses_of
from splatalk.errors import FormatError
from splatalk.speech import SAMPLE_RATE

MAX_BYTES = 256 * 2**20
MAX_SECONDS = 4 * 3600.0
_HINT = "Use a CSV with a time column in seconds (or Timecode) and ARKit names such as jawOpen."
_HEAD = tuple(f"head.{c}" for c in POSE_COLUMNS)
_GAZE = tuple(f"gaze.{c}" for c in GAZE_COLUMNS)
_BY_LOWER = {name.lower(): name for name in BLENDSHAPES}
_TIMECODE = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})[:;](\d{1,3}(?:\.\d+)?)")
_PHONE_FPS = 60.0


@dataclasses.dataclass
class CurveTrack:
    """Curves over time.

    Args:
        times: (T,) seconds, increasing, the first 0.
        expression: (T, 52) 0..1.
        head: (T, 6) in ``motion_columns.POSE_COLUMNS``, or None when the file does not move the head.
        gaze: (T, 4) degrees in ``motion_columns.GAZE_COLUMNS``, or None.
    """

    times: np.ndarray
    expression: np.ndarray
    head: np.ndarray | None = None
    gaze: np.ndarray | None = None


def read_curves(path: Path) -> CurveTrack:
    """Read a CSV of curves; columns it does not know are ignored, curves it does not hold rest.

    Raises:
        FormatError: no such table, no time, no known curve, or values that are no numbers.
    """
    names, rows = _rows(path)
    known = {_BY_LOWER[n.lower()]: k for k, n in enumerate(names) if n.lower() in _BY_LOWER}
    if not known:
        raise FormatError(f"{path} holds no curve of an ARKit name.", _HINT)
    times = _times(path, names, rows)
    expression = np.zeros((len(rows), len(BLENDSHAPES)), np.float32)
    for name, column in known.items():
        expression[:, BLENDSHAPES.index(name)] = np.clip(_numbers(path, rows, column), 0.0, 1.0)
    return CurveTrack(times, expression, _head(path, names, rows), _gaze(path, names, rows))


def write_curves(path: Path, avatar: Avatar, performance: Performance) -> None:
    """Write a performance's 52 curves, head and gaze as CSV; the mouth as the curves recorded it, if it had any."""
    head, gaze = pose_columns(performance.head_pose, avatar.rest_head), np.degrees(performance.gaze)
    times = np.arange(len(performance)) / performance.fps
    table = np.concatenate((times[:, None], performance.expression, head, gaze), 1)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["time", *BLENDSHAPES, *_HEAD, *_GAZE])
    writer.writerows([f"{v:.4f}" for v in row] for row in table + 0.0)
    with files.atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")


def from_curves(avatar: Avatar, track: CurveTrack, *, seed: int = 0) -> Performance:
    """A performance that follows curves, mouth included. A head that the curves do not move goes its own way."""
    fps = avatar.fps
    n = max(round(track.times[-1] * fps) + 1, 1)
    at = np.arange(n) / fps
    expression = _resampled(track.times, track.expression, at).astype(np.float32)
    motion = still(avatar, n) if track.head is not None else manner_walk(avatar, seed).take(n)
    if track.head is not None:
        motion["head_pose"] = poses_of(_resampled(track.times, track.head, at), avatar.rest_head)
    if track.gaze is not None:
        motion["gaze"] = np.radians(_resampled(track.times, track.gaze, at)).astype(np.float32)
    return Performance(fps, motion["head_pose"], motion["torso_pose"], expression, motion["gaze"],
                       mouth=mouth_of_curves(avatar, expression))  # fmt: skip


def onto(performance: Performance, face: Performance, *, head: bool, gaze: bool) -> Performance:
    """What the sound says, with the upper face of ``face`` and, if told so, its head and gaze; as long as both last."""
    n = min(len(performance), len(face))
    mixed = performance.select(np.arange(n))
    expression = face.expression[:n].copy()
    expression[:, list(MOUTH_SHAPES)] = mixed.expression[:, list(MOUTH_SHAPES)]
    return dataclasses.replace(
        mixed,
        expression=expression,
        head_pose=face.head_pose[:n] if head else mixed.head_pose,
        torso_pose=face.torso_pose[:n] if head else mixed.torso_pose,
        gaze=face.gaze[:n] if gaze else mixed.gaze,
        audio=None if performance.audio is None else performance.audio[: round(n / performance.fps * SAMPLE_RATE)],
    )


def _rows(path: Path) -> tuple[list[str], list[list[str]]]:
    with files.explained(path, "read"):
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise FormatError(f"{path} is larger than any table of curves ({size / 1e6:.0f} MB).", _HINT)
        raw = path.read_bytes()
    try:
        table = [row for row in csv.reader(io.StringIO(raw.decode("utf-8-sig"))) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{path} is no CSV table.", _HINT) from error
    if len(table) < 2:
        raise FormatError(f"{path} holds no frames.", _HINT)
    names = [name.strip() for name in table[0]]
    for i, row in enumerate(table[1:], 2):
        if len(row) != len(names):
            raise FormatError(f"Line {i} of {path} has {len(row)} values, the first line {len(names)}.", _HINT)
    return names, table[1:]


def _times(path: Path, names: list[str], rows: list[list[str]]) -> np.ndarray:
    lower = [n.lower() for n in names]
    if "time" in lower:
        times = _numbers(path, rows, lower.index("time"))
    elif "timecode" in lower:
        times = np.array([_seconds(path, row[lower.index("timecode")]) for row in rows])
    else:
        raise FormatError(f"{path} has no time column.", _HINT)
    times = times - times[0]
    if (np.diff(times) <= 0).any() or times[-1] > MAX_SECONDS:
        raise FormatError(f"The times in {path} do not increase, or exceed four hours.", "Sort the lines by time.")
    return times


def _seconds(path: Path, timecode: str) -> float:
    match = _TIMECODE.fullmatch(timecode.strip())
    if match is None:
        raise FormatError(f"{timecode!r} in {path} is no timecode.", "Write hours:minutes:seconds:frames.")
    hours, minutes, seconds, frames = (float(part) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds + frames / _PHONE_FPS


def _numbers(path: Path, rows: list[list[str]], column: int) -> np.ndarray:
    try:
        values = np.array([float(row[column]) for row in rows])
    except ValueError as error:
        raise FormatError(f"A value in {path} is no number ({error}).", _HINT) from error
    if not np.isfinite(values).all():
        raise FormatError(f"A value in {path} is not finite.", _HINT)
    return values


def _head(path: Path, names: list[str], rows: list[list[str]]) -> np.ndarray | None:
    """(T, 6); the phone's turns are radians with the signs of ARKit."""
    head = np.zeros((len(rows), 6))
    lower = {n.lower(): k for k, n in enumerate(names)}
    found = False
    for k, (own, phone, scale) in enumerate(
        zip(_HEAD, ("headyaw", "headpitch", "headroll", None, None, None), (57.29578, -57.29578, 57.29578, 0, 0, 0))
    ):
        if own in lower:
            head[:, k], found = np.clip(_numbers(path, rows, lower[own]), -180.0, 180.0), True
        elif phone in lower:
            head[:, k], found = np.clip(scale * _numbers(path, rows, lower[phone]), -90.0, 90.0), True
    return head if found else None


def _gaze(path: Path, names: list[str], rows: list[list[str]]) -> np.ndarray | None:
    lower = {n.lower(): k for k, n in enumerate(names)}
    if not all(name in lower for name in _GAZE):
        return None
    return np.stack([np.clip(_numbers(path, rows, lower[name]), -60.0, 60.0) for name in _GAZE], 1)


def _resampled(times: np.ndarray, values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(N, K) linear between the recorded times."""
    return np.stack([np.interp(at, times, column) for column in values.T], 1)
