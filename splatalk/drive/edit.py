"""Cutting, joining and retiming performances, their sound included."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import librosa
import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from splatalk.avatar.controls import Performance
from splatalk.errors import UserError
from splatalk.speech import SAMPLE_RATE

SEAM_S = 0.32
"""Seconds over which what jumps at a joint is evened out."""
_FADE_S = 0.01  # of the sound at cuts, against clicks

# Speech features belong to a sound; after an edit they are made again from the edited one (``with_speech``).


def cut(performance: Performance, start: float, end: float | None = None) -> Performance:
    """From ``start`` to ``end`` seconds (None: to the end).

    Raises:
        UserError: nothing is left.
    """
    n, fps = len(performance), performance.fps
    first, last = round(start * fps), n if end is None else min(round(end * fps), n)
    if not 0 <= first < last:
        raise UserError(
            f"There is nothing from {start:g} to {n / fps if end is None else end:g} s.", f"It lasts {n / fps:.2f} s."
        )
    kept = performance.select(np.arange(first, last))
    audio = None
    if performance.audio is not None:
        audio = _softened(performance.audio[round(first / fps * SAMPLE_RATE) : round(last / fps * SAMPLE_RATE)])
    return dataclasses.replace(kept, speech=None, audio=audio)


def join(parts: Sequence[Performance]) -> Performance:
    """One after the other; heads, eyes and faces glide over the joints.

    Raises:
        UserError: no part, or parts of different frame rates.
    """
    if not parts:
        raise UserError("There is nothing to join.", "Give at least one performance.")
    fps = parts[0].fps
    if any(p.fps != fps for p in parts):
        raise UserError("The performances have different frame rates.", "Make them for one avatar.")
    joined = parts[0]
    for part in parts[1:]:
        joined = _joined(joined, part)
    return joined


def retime(performance: Performance, speed: float) -> Performance:
    """Faster (``speed`` > 1) or slower, the pitch of the voice kept.

    Raises:
        UserError: a speed that is no number from 0.25 to 4.
    """
    if not 0.25 <= speed <= 4.0:
        raise UserError(f"A speed of {speed:g} is not possible.", "Use 0.25 to 4.")
    n = len(performance)
    count = max(round(n / speed), 1)
    audio = performance.audio
    if audio is not None:
        audio = _as_long(librosa.effects.time_stretch(audio, rate=n / count), count, performance.fps)
    return _at_times(performance, np.arange(count) * speed, performance.fps, audio)


def retime_to(performance: Performance, fps: float) -> Performance:
    """The same at another frame rate."""
    if fps == performance.fps:
        return performance
    count = max(round(len(performance) * fps / performance.fps), 1)
    return _at_times(performance, np.arange(count) * performance.fps / fps, fps, performance.audio)


def _at_times(performance: Performance, times: np.ndarray, fps: float, audio: np.ndarray | None) -> Performance:
    """The performance at fractional frames (M,)."""
    times = np.minimum(times, len(performance) - 1.0)
    return Performance(
        fps,
        _poses_at(performance.head_pose, times),
        _poses_at(performance.torso_pose, times),
        _at(performance.expression, times),
        _at(performance.gaze, times),
        mouth=None if performance.mouth is None else _at(performance.mouth, times),
        audio=audio,
    )


def _joined(a: Performance, b: Performance) -> Performance:
    n, fps = len(a) + len(b), a.fps
    seam = min(round(SEAM_S * fps), len(a) - 1, len(b))
    fields: dict[str, Any] = {}
    for name in ("head_pose", "torso_pose", "expression", "gaze"):
        values = np.concatenate((getattr(a, name), getattr(b, name)))
        fields[name] = _glide(values, len(a), seam)
    if a.mouth is not None and b.mouth is not None:
        fields["mouth"] = _glide(np.concatenate((a.mouth, b.mouth)), len(a), seam)
    audio = None
    if a.audio is not None or b.audio is not None:
        audio = np.concatenate([_sound_of(p) for p in (a, b)])[: round(n / fps * SAMPLE_RATE)]
    return Performance(fps, **fields, audio=audio)


def _sound_of(performance: Performance) -> np.ndarray:
    """(S,) exactly as long as the frames; silence where there is none."""
    samples = performance.audio if performance.audio is not None else np.zeros(0, np.float32)
    return _softened(_as_long(samples, len(performance), performance.fps))


def _as_long(samples: np.ndarray, n: int, fps: float) -> np.ndarray:
    """Cut, or filled with silence, to last ``n`` frames."""
    length = round(n / fps * SAMPLE_RATE)
    return np.pad(samples[:length], (0, max(0, length - len(samples)))).astype(np.float32)


def _glide(values: np.ndarray, joint: int, seam: int) -> np.ndarray:
    """The frames around a joint, replaced by a smooth way from before it to behind it."""
    first, last = joint - (seam + 1) // 2, joint + seam // 2
    if seam < 2 or first < 0 or last >= len(values):
        return values
    out = values.copy()
    share = np.linspace(0.0, 1.0, last - first + 1)
    times = share * share * (3.0 - 2.0 * share)
    ends = values[[first, last]]
    out[first : last + 1] = _poses_at(ends, times) if values.ndim == 3 else _at(ends, times)
    return out


def _at(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Rows (N, K) at fractional rows (M,), linear in between."""
    low = np.minimum(times.astype(int), max(len(values) - 2, 0))
    high = np.minimum(low + 1, len(values) - 1)
    part = (times - low)[:, None]
    return np.asarray(values[low] * (1 - part) + values[high] * part, dtype=values.dtype)


def _poses_at(poses: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Poses (N, 4, 4) at fractional rows (M,): spherical linear turns, linear shifts."""
    if len(poses) == 1:
        return np.repeat(poses, len(times), 0)
    out = np.tile(np.eye(4), (len(times), 1, 1))
    turns = Slerp(np.arange(len(poses)), Rotation.from_matrix(poses[:, :3, :3]))
    out[:, :3, :3] = turns(times).as_matrix()
    out[:, :3, 3] = _at(poses[:, :3, 3], times)
    return out


def _softened(samples: np.ndarray) -> np.ndarray:
    """A copy with ends that do not click."""
    out = np.array(samples, dtype=np.float32)
    ramp = np.linspace(0.0, 1.0, min(round(_FADE_S * SAMPLE_RATE), len(out) // 2), dtype=np.float32)
    out[: len(ramp)] *= ramp
    out[len(out) - len(ramp) :] *= ramp[::-1]
    return out
