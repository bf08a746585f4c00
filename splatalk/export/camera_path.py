"""How the camera moves in a film: looking ahead, swinging to both sides, or by keyframes of a JSON file."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import PchipInterpolator

from splatalk import files
from splatalk.errors import FormatError, UserError
from splatalk.export.views import view

if TYPE_CHECKING:
    from splatalk.avatar.model import Avatar
    from splatalk.render.camera import Camera

SWING = 35.0
"""Degrees that ``orbit`` goes to each side."""
ORBIT_SECONDS = 6.0
MAX_KEYFRAMES = 10_000
_FILE_LIMIT = 4 << 20
_LIMITS = {"time": (0.0, 1e5), "yaw": (-3600.0, 3600.0), "pitch": (-89.0, 89.0), "distance": (0.1, 20.0)}
_HINT = 'Write {"keyframes": [{"time": 0, "yaw": 0, "pitch": 0, "distance": 1}, …]}: seconds, degrees, 1 as recorded.'


@dataclasses.dataclass(frozen=True)
class Keyframe:
    """Where the camera is at a time.

    Args:
        time: seconds from the first frame.
        yaw, pitch: degrees, see ``views.view``.
        distance: from the head, 1 as recorded; 0.5 is half as far.
    """

    time: float
    yaw: float = 0.0
    pitch: float = 0.0
    distance: float = 1.0


def orbit_keyframes(seconds: float, swing: float = SWING) -> list[Keyframe]:
    """Smooth turns to one side, to the other and back, one every ``ORBIT_SECONDS`` as near as makes a whole number.

    Args:
        seconds: length of the film.
        swing: degrees to each side; a fifth of it up and down.
    """
    tilt = swing / 5
    turns = max(1, round(seconds / ORBIT_SECONDS))
    steps = 48 * turns
    angles = [2 * math.pi * turns * i / steps for i in range(steps + 1)]
    return [
        Keyframe(seconds * i / steps, swing * math.sin(a), tilt * math.sin(2 * a)) for i, a in enumerate(angles)
    ]  # fmt: skip


def read_keyframes(path: Path) -> list[Keyframe]:
    """Read ``{"keyframes": [{"time", "yaw", "pitch", "distance"}, …]}`` or the list alone; only ``time`` is needed.

    Raises:
        FormatError: not such a file, unknown names, values out of range, or times that do not increase.
    """
    with files.explained(path, "read"):
        if not path.is_file():
            raise UserError(f"There is no camera file {path}.", "Use front, orbit, or a JSON file of keyframes.")
        if path.stat().st_size > _FILE_LIMIT:
            raise FormatError(f"{path} is too large for a camera path.", _HINT)
        raw = path.read_bytes()
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is not JSON.", _HINT) from error
    entries = data.get("keyframes") if isinstance(data, dict) else data
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_KEYFRAMES:
        raise FormatError(f"{path} holds no list of 1 to {MAX_KEYFRAMES} keyframes.", _HINT)
    keyframes = [_keyframe(path, i, entry) for i, entry in enumerate(entries)]
    if any(b.time <= a.time for a, b in itertools.pairwise(keyframes)):
        raise FormatError(f"The times of the keyframes in {path} do not increase.", _HINT)
    return keyframes


def _keyframe(path: Path, index: int, entry: object) -> Keyframe:
    if not isinstance(entry, dict) or "time" not in entry or set(entry) - set(_LIMITS):
        raise FormatError(f"Keyframe {index} of {path} needs a time and may have {', '.join(_LIMITS)}.", _HINT)
    for name, value in entry.items():
        low, high = _LIMITS[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise FormatError(f"Keyframe {index} of {path}: {name} must be {low:g} to {high:g}.", _HINT)
    return Keyframe(**{name: float(value) for name, value in entry.items()})


def along(avatar: Avatar, keyframes: list[Keyframe], n_frames: int, fps: float) -> list[Camera]:
    """A camera for every frame: smooth between keyframes, never beyond them, still before the first and after the last.

    Args:
        fps: frame i is at i / fps seconds.
    """
    times = np.array([k.time for k in keyframes])
    rows = np.array([(k.yaw, k.pitch, k.distance) for k in keyframes])
    at = np.clip(np.arange(n_frames) / fps, times[0], times[-1])
    placed = PchipInterpolator(times, rows)(at) if len(keyframes) > 1 else np.repeat(rows, n_frames, 0)
    return [view(avatar, float(yaw), float(pitch), float(distance)) for yaw, pitch, distance in placed]


def check(camera: str) -> None:
    """Raise UserError for what is neither ``front``, ``orbit`` nor a readable file, before anything slow begins."""
    if camera not in ("front", "orbit"):
        read_keyframes(Path(camera))


def cameras(
    avatar: Avatar, camera: str, n_frames: int, yaw: float = 0.0, pitch: float = 0.0, swing: float = SWING
) -> list[Camera]:
    """What ``--camera`` means for a film of ``n_frames`` at the avatar's rate.

    Args:
        camera: ``front`` (stays at ``yaw`` and ``pitch``), ``orbit`` (by ``swing``), or the path of a JSON file.

    Raises:
        UserError: the file is missing; FormatError: it is no camera path.
    """
    if camera == "front":
        keyframes = [Keyframe(0.0, yaw, pitch)]
    elif camera == "orbit":
        keyframes = orbit_keyframes(n_frames / avatar.fps, swing)
    else:
        keyframes = read_keyframes(Path(camera))
    return along(avatar, keyframes, n_frames, avatar.fps)
