"""Which frames are fit to learn from, judged by the pictures alone, before anything is solved."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from splatalk.capture.measurements import Measurements
from splatalk.capture.reasons import runs

_BLUR_SHARE = 0.35  # of the usual sharpness, below which a frame counts as blurred
_HIDDEN, _HALF_HIDDEN = 1.8, 1.4
"""Doubt over the usual doubt from which a face counts as hidden, and from which it does beside such a frame."""
_ANOTHER_SHOT = 0.5  # difference of thumbnails over their contrast; between unrelated pictures it is about 1
_LOOKING_AWAY = np.cos(np.radians(50.0))


def unfit(rows: Measurements) -> dict[int, str]:
    """Frames to leave out of solving and training, with words of ``capture.reasons``."""
    n, found = len(rows), rows.found
    reasons: dict[int, str] = {int(i): "no face" for i in np.flatnonzero(~found)}

    def mark(frames: np.ndarray, word: str) -> None:
        for i in np.flatnonzero(frames):
            reasons.setdefault(int(i), word)

    if len(rows.thumbnail) == n:
        mark(~main_shot(rows.thumbnail), "another shot")
    good = found & np.array([i not in reasons for i in range(n)])
    if not good.any():
        return reasons
    mark(rows.sharpness < _BLUR_SHARE * np.median(rows.sharpness[good]), "blurred")
    if len(rows.doubt) == n:
        mark(hidden(np.where(good, rows.doubt, 0.0), float(np.median(rows.doubt[good]))), "face hidden")
    return reasons


def main_shot(thumbnails: np.ndarray) -> np.ndarray:
    """(N, s, s) uint8 → (N,) bool, whether a frame belongs to the shot, or the shots of one view, that last longest."""
    pictures = thumbnails.astype(np.float32)
    cuts = np.flatnonzero(_difference(pictures[1:], pictures[:-1]) > _ANOTHER_SHOT) + 1
    shots = np.split(np.arange(len(pictures)), cuts)
    groups: list[tuple[np.ndarray, list[np.ndarray]]] = []
    for shot in sorted(shots, key=len, reverse=True):
        usual = np.median(pictures[shot[:: max(len(shot) // 16, 1)]], axis=0)
        for view, members in groups:
            if _difference(usual[None], view[None])[0] < _ANOTHER_SHOT:
                members.append(shot)
                break
        else:
            groups.append((usual, [shot]))
    longest = max(groups, key=lambda group: sum(map(len, group[1])))[1]
    return np.isin(np.arange(len(pictures)), np.concatenate(longest))


def hidden(doubt: np.ndarray, usual: float) -> np.ndarray:
    """(N,) doubt → (N,) bool: frames of much doubt, and those of some that touch them."""
    much, some = doubt > _HIDDEN * usual, doubt > _HALF_HIDDEN * usual
    edges = np.flatnonzero(np.diff(np.concatenate([[0], some.astype(np.int8), [0]])))
    out = np.zeros(len(doubt), bool)
    for begin, end in edges.reshape(-1, 2):
        out[begin:end] = much[begin:end].any()
    return out


def looking_away(head_pose: np.ndarray) -> np.ndarray:
    """(N, 4, 4) head poses → (N,) bool, whether the face is turned so far that half of it is guessed."""
    place = head_pose[:, :3, 3] / np.linalg.norm(head_pose[:, :3, 3], axis=-1, keepdims=True)
    return np.einsum("ni,ni->n", head_pose[:, :3, 2], place) < _LOOKING_AWAY


def stretches(reasons: Mapping[int, str], fps: float, most: int = 5) -> str:
    """``another shot 3.1-8.2 s, no face 10.0-10.4 s``: the longest stretches, in order of time."""
    found = runs(reasons)
    longest = sorted(sorted(found, key=lambda part: part[0] - part[1])[:most])
    text = ", ".join(f"{word} {begin / fps:.1f}-{end / fps:.1f} s" for begin, end, word in longest)
    return text + (f" and {len(found) - most} shorter stretches" if len(found) > most else "")


def _difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(M, s, s) pictures, in pairs → (M,) mean difference over their contrast."""
    contrast = (a.std(axis=(1, 2)) + b.std(axis=(1, 2))) / 2
    return np.asarray(np.abs(a - b).mean(axis=(1, 2)) / (contrast + 8.0))
