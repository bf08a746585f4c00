"""Head, mouth, blinks and torso as the capture stage tracks them, against the truth of synthetic recordings.

python -m benchmarks.tracking [RECORDING...] [--capture FOLDER]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import machine, save_result, shared_recordings, told
from splatalk.avatar.controls import BLENDSHAPES
from splatalk.avatar.face_mesh import mouth_opening
from splatalk.capture import Capture, record
from splatalk.capture.geometry import nearest_rotation, vector_from_rotation
from splatalk.errors import FormatError

_FLIP = np.diag([1.0, -1.0, -1.0, 1.0])  # the truth's head frame has y up and z out of the face
_BLINK = 0.5  # of the truth's blink curve, above which a blink must be found
_BLINK_REACH = 2  # frames
_ROWS = {
    "head_rotation_deg": ("head rotation, RMS error (°)", 1.0),
    "head_translation_percent": ("head place, RMS error (% of the distance)", 1.0),
    "nod_gain": ("nods found for each degree of the truth", None),
    "head_rotation_jitter": ("jitter of the rotation, × the truth's", 1.3),
    "head_translation_jitter": ("jitter of the place, × the truth's", 1.3),
    "opening_correlation": ("correlation of the mouth opening", None),
    "blinks_found": ("blinks found", None),
    "torso_rotation_deg": ("torso rotation, RMS error (°)", None),
    "torso_translation_percent": ("torso place, RMS error (% of the distance)", None),
}

_NOTE = """

Errors are those left after one constant similarity of the head's frame for the clip. No constant was fitted to the
truth, but choices of method (which points, which terms, how much to smooth the distance) were made while looking at
ada's figures.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", nargs="*", default=["ada"], help="names that come with NAME_gt.npz")
    parser.add_argument("--capture", type=Path, help="a finished capture of the only recording named")
    options = parser.parse_args()
    results = {}
    for name in options.recordings:
        if options.capture and len(options.recordings) == 1:
            results[name] = figures(Capture.load(options.capture), name)
            continue
        with tempfile.TemporaryDirectory() as folder:
            results[name] = figures(record(shared_recordings() / f"{name}.mp4", Path(folder) / "a.capture"), name)
    lines = [f"| | wanted | {' | '.join(results)} |", f"|---|---|{'---|' * len(results)}"]
    for key, (label, wanted) in _ROWS.items():
        goal = "" if wanted is None else f"≤ {wanted:g}"
        lines.append(f"| {label} | {goal} | {' | '.join(str(r[key]) for r in results.values())} |")
    text = "\n".join(lines) + _NOTE
    print(text)
    save_result("tracking", "Tracking against the truth", text, {"machine": machine(), "recordings": results})


def figures(capture: Capture, name: str) -> dict[str, Any]:
    """See ``_ROWS``."""
    path = shared_recordings() / f"{name}_gt.npz"
    try:
        with np.load(path, allow_pickle=False) as data:
            head, torso, opening, blink = (
                data[key][: len(capture)] for key in ("T_cam_head", "T_cam_torso", "lip_opening_cm", "blink")
            )
    except (OSError, KeyError, ValueError) as error:
        raise FormatError(f"{path} is not the truth of a recording: {error}.", "Name a synthetic recording.") from error
    if len(head) != len(capture):
        raise FormatError(f"The capture has {len(capture)} frames, the truth {len(head)}.", "Name its own recording.")
    tracks = capture.tracks
    out: dict[str, Any] = {"frames": len(capture)}
    for part, found, truth in (("head", tracks.head_pose, head), ("torso", tracks.torso_pose, torso)):
        truth = truth.astype(np.float64) @ _FLIP
        moved = aligned(found, truth)
        turn = vector_from_rotation(np.swapaxes(truth[:, :3, :3], 1, 2) @ moved[:, :3, :3])
        away = np.linalg.norm(moved[:, :3, 3] - truth[:, :3, 3], axis=1)
        distance = np.linalg.norm(truth[:, :3, 3], axis=1).mean()
        out[f"{part}_rotation_deg"] = round(float(np.degrees(np.sqrt((turn**2).sum(-1).mean()))), 2)
        out[f"{part}_translation_percent"] = round(float(100 * np.sqrt((away**2).mean()) / distance), 2)
        ours, theirs = jitter(moved), jitter(truth)
        out[f"{part}_rotation_jitter"] = round(ours[0] / theirs[0], 2)
        out[f"{part}_translation_jitter"] = round(ours[1] / theirs[1], 2)
        if part == "head":
            true_nod, nod = (vector_from_rotation(pose[:, :3, :3])[:, 0] for pose in (truth, moved))
            out["nod_gain"] = round(float(np.polyfit(true_nod, nod, 1)[0]), 3)
    out["opening_correlation"] = round(float(np.corrcoef(mouth_opening(tracks.landmarks_head), opening)[0, 1]), 3)
    found_blinks, true_blinks = blinks(tracks.blendshapes, blink)
    out["blinks_found"] = f"{found_blinks} of {true_blinks}"
    return out


def aligned(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Poses (N, 4, 4) with the constant turn, shift and scale of the head's own frame that fit the truth best."""
    out = found.copy()
    constant = nearest_rotation((np.swapaxes(found[:, :3, :3], 1, 2) @ truth[:, :3, :3]).mean(axis=0))
    out[:, :3, :3] = found[:, :3, :3] @ constant
    columns = np.concatenate([found[:, :3, 3:], found[:, :3, :3]], axis=2).reshape(-1, 4)
    fit = np.linalg.lstsq(columns, truth[:, :3, 3].reshape(-1), rcond=None)[0]
    out[:, :3, 3] = (columns @ fit).reshape(-1, 3)
    return out


def jitter(pose: np.ndarray) -> tuple[float, float]:
    """RMS second difference between frames: radians, and the unit of the place."""
    speed = vector_from_rotation(np.swapaxes(pose[:-1, :3, :3], 1, 2) @ pose[1:, :3, :3])
    place = np.diff(pose[:, :3, 3], n=2, axis=0)
    return float(np.sqrt((np.diff(speed, axis=0) ** 2).sum(-1).mean())), float(np.sqrt((place**2).sum(-1).mean()))


def blinks(shapes: np.ndarray, truth: np.ndarray) -> tuple[int, int]:
    """Blinks of the truth at whose time the tracked curves rise clearly, and all of them."""
    closing = shapes[:, [BLENDSHAPES.index("eyeBlinkLeft"), BLENDSHAPES.index("eyeBlinkRight")]].mean(axis=1)
    usual = np.median(closing)
    level = usual + 0.3 * (np.percentile(closing, 99.5) - usual)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (truth > _BLINK).astype(int), [0]])))
    spans = edges.reshape(-1, 2)
    found = [closing[max(a - _BLINK_REACH, 0) : b + _BLINK_REACH].max() > level for a, b in spans]
    return int(sum(found)), len(spans)


if __name__ == "__main__":
    told(main)
