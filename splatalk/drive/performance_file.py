"""A Performance as a text file that people can read and edit: JSON, one line a frame, everything counted from rest.

Poses are relative to the avatar's rest, so that a performance made for one person can be played by another. The sound
lies beside it; when the mouth follows the sound, speech features are made again from it on reading.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from splatalk import files
from splatalk.avatar.controls import BLENDSHAPES, Performance
from splatalk.avatar.model import Avatar
from splatalk.capture.dataset import write_wave
from splatalk.drive.motion_columns import GAZE_COLUMNS, POSE_COLUMNS, pose_columns, poses_of
from splatalk.errors import FormatError
from splatalk.speech import SAMPLE_RATE, speech_windows
from splatalk.speech.audio import read_audio

SUFFIX = ".performance"
VERSION = 1
MAX_BYTES = 512 * 2**20
_HINT = "Make it again with: splatalk perform"
_LIMITS = {"head": 1e3, "torso": 1e3, "gaze": 90.0, "curve": 4.0, "mouth": 100.0}
_MOTION = (
    *(f"head.{c}" for c in POSE_COLUMNS), *(f"torso.{c}" for c in POSE_COLUMNS), *(f"gaze.{c}" for c in GAZE_COLUMNS)
)  # fmt: skip


def write_performance(path: Path, avatar: Avatar, performance: Performance) -> None:
    """Write ``path`` and, when it has sound, a WAV of the same name beside it.

    Raises:
        UserError: the disk is full or not writable.
    """
    codes = performance.mouth is not None
    columns = list(_MOTION)
    values = [
        pose_columns(performance.head_pose, avatar.rest_head), pose_columns(performance.torso_pose, avatar.rest_torso),
        np.degrees(performance.gaze),
    ]  # fmt: skip
    used = [i for i in range(len(BLENDSHAPES)) if np.abs(performance.expression[:, i]).max(initial=0.0) >= 5e-4]
    columns += [BLENDSHAPES[i] for i in used]
    values.append(performance.expression[:, used])
    if performance.mouth is not None:
        columns += [f"mouth.{k}" for k in range(performance.mouth.shape[1])]
        values.append(performance.mouth)
    table = np.round(np.concatenate(values, 1), 4) + 0.0  # no minus zeros
    header = {
        "splatalk_performance": VERSION,
        "fps": performance.fps,
        "frames": len(performance),
        "sound": path.with_suffix(".wav").name if performance.audio is not None else None,
        "mouth": "codes" if codes else "sound",
        "avatar": str(avatar.meta.get("created", "")),
        "units": "degrees, centimetres and degrees of gaze from rest; curves 0 to 1; one line a frame",
        "columns": columns,
    }
    text = json.dumps(header, indent=1, ensure_ascii=False)[:-2] + ',\n "rows": [\n'
    text += ",\n".join("  " + json.dumps([float(v) for v in row]) for row in table) + "\n ]\n}\n"
    if performance.audio is not None:
        with files.atomic_path(path.with_suffix(".wav")) as temporary:
            write_wave(temporary, performance.audio)
    with files.atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_performance(path: Path, avatar: Avatar) -> Performance:
    """The performance of a file, for ``avatar``. Columns that are missing rest; unknown ones are refused.

    Mouth codes belong to one avatar; for another, the mouth follows the sound.

    Raises:
        FormatError: damaged, of a newer version, values out of range, or its sound is missing.
    """
    data = _load(path)
    rows = _table(path, data)
    columns: list[str] = data["columns"]
    fps, n = float(data["fps"]), len(rows)

    def group(names: tuple[str, ...]) -> np.ndarray:
        picked = np.zeros((n, len(names)))
        for k, name in enumerate(names):
            if name in columns:
                picked[:, k] = rows[:, columns.index(name)]
        return picked

    audio = _sound(path, data, n, fps)
    mouth = None
    if data["mouth"] == "codes" and data.get("avatar") == str(avatar.meta.get("created", "")):
        mouth = group(tuple(f"mouth.{k}" for k in range(avatar.mouth_basis.n_components))).astype(np.float32)
    gaze = np.radians(group(_MOTION[12:]))
    if not any(name.startswith("gaze.") for name in columns):
        gaze = np.repeat(np.median(avatar.manner["gaze"], 0)[None], n, 0)
    performance = Performance(
        fps,
        poses_of(group(_MOTION[:6]), avatar.rest_head),
        poses_of(group(_MOTION[6:12]), avatar.rest_torso),
        np.clip(group(BLENDSHAPES), 0.0, 1.0).astype(np.float32),
        gaze.astype(np.float32),
        mouth=mouth,
        audio=audio,
    )
    return with_speech(avatar, performance)


def with_speech(avatar: Avatar, performance: Performance) -> Performance:
    """The performance with speech features of its sound, as far as the avatar can hear and there is any."""
    if performance.audio is None or avatar.audio_encoder is None:
        return performance
    performance.speech = speech_windows(avatar.meta["speech"], performance.audio, performance.fps, len(performance))
    return performance


def _load(path: Path) -> dict[str, Any]:
    with files.explained(path, "read"):
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise FormatError(f"{path} is larger than any performance ({size / 1e6:.0f} MB).", _HINT)
        raw = path.read_bytes()
    try:
        data = json.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        place = f" in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise FormatError(f"{path} is no performance: it is not valid JSON{place}.", _HINT) from error
    if not isinstance(data, dict) or "splatalk_performance" not in data:
        raise FormatError(f"{path} is no performance file.", _HINT)
    if data["splatalk_performance"] != VERSION:
        raise FormatError(f"{path} was written by another version of splatalk.", "Update splatalk.")
    fps, columns, mouth = data.get("fps"), data.get("columns"), data.get("mouth")
    if not isinstance(fps, int | float) or not 1.0 <= fps <= 240.0:
        raise FormatError(f"The frame rate in {path} is impossible.", "Use 1 to 240 frames per second.")
    if not isinstance(columns, list) or not all(isinstance(c, str) for c in columns):
        raise FormatError(f"{path} does not name its columns.", _HINT)
    unknown = [c for c in columns if _limit(c) is None]
    if unknown or len(set(columns)) != len(columns):
        problem = f"an unknown column {unknown[0]!r}" if unknown else "a column twice"
        raise FormatError(f"{path} has {problem}.", f"Known are {', '.join(_MOTION)} and the ARKit names.")
    if mouth not in ("sound", "codes"):
        raise FormatError(f'{path} does not say what moves the mouth: "sound" or "codes".', _HINT)
    return data


def _limit(column: str) -> float | None:
    """The largest size of a value in a column; None when there is no such column."""
    kind, _, rest = column.partition(".")
    if column in BLENDSHAPES:
        return _LIMITS["curve"]
    if column in _MOTION:
        return _LIMITS[kind]
    return _LIMITS["mouth"] if kind == "mouth" and rest.isdecimal() and int(rest) < 1000 else None


def _table(path: Path, data: dict[str, Any]) -> np.ndarray:
    rows, columns = data.get("rows"), data["columns"]
    if not isinstance(rows, list) or not rows:
        raise FormatError(f"{path} has no frames.", _HINT)
    for i, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(columns):
            raise FormatError(f"Frame {i} in {path} does not have {len(columns)} numbers.", "Correct that line.")
        if not all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in row):
            raise FormatError(f"Frame {i} in {path} holds something that is no number.", "Correct that line.")
    table = np.array(rows, dtype=np.float64).reshape(len(rows), len(columns))
    limits = np.array([_limit(c) for c in columns], dtype=np.float64)
    outside = np.argwhere(np.abs(table) > limits)
    if len(outside):
        i, k = outside[0]
        raise FormatError(
            f"Frame {i} in {path}: {columns[k]} is {table[i, k]:g}.", f"Keep it between ±{limits[k]:g}."
        )
    return table


def _sound(path: Path, data: dict[str, Any], n: int, fps: float) -> np.ndarray | None:
    """(S,) of the WAV beside the file, as long as the frames."""
    name = data.get("sound")
    if name is None:
        return None
    if not isinstance(name, str) or Path(name).name != name or name in ("", ".", ".."):
        raise FormatError(f"The sound of {path} must lie beside it.", "Give the name of a file in the same folder.")
    if not (path.parent / name).is_file():
        raise FormatError(f"The sound {path.parent / name} of {path} is missing.", "Copy it there.")
    samples = read_audio(path.parent / name)
    length = round(n / fps * SAMPLE_RATE)
    return np.pad(samples[:length], (0, max(0, length - len(samples))))
