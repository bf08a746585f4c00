"""What a recording is good for: its figures, what each shortcoming costs, a grade, warnings, and three things to do."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from splatalk.avatar.mouth_basis import mouth_opening_and_width
from splatalk.capture import hearing, seeing
from splatalk.capture.advice import GRAIN_MOVES, advice, limits
from splatalk.capture.decode import VideoFacts
from splatalk.capture.framing import Framing
from splatalk.capture.hearing import Heard
from splatalk.capture.measurements import Measurements
from splatalk.capture.plate import Plate
from splatalk.capture.reasons import runs
from splatalk.capture.torso import TorsoTrack
from splatalk.capture.tracks import Solved, reprojection

VERSION = 1
_LOOKED_AT = 16
_GRADES = ((85, "very good"), (70, "good"), (50, "fair"), (0, "poor"))
_SURE_TO_MATCH = 0.1


@dataclasses.dataclass(frozen=True)
class Evidence:
    """Everything that the capture stage found out about a recording.

    Args:
        rows: measurements of all frames.
        solved: tracks and how they were found.
        torso, plate, heard, facts, framing: from their modules.
        fps: of the frames.
        frame: (H, W, 3) uint8 picture by number.
        matte: (H, W) float32 by number.
    """

    rows: Measurements
    solved: Solved
    torso: TorsoTrack
    plate: Plate
    heard: Heard
    facts: VideoFacts
    framing: Framing
    fps: float
    frame: Callable[[int], np.ndarray]
    matte: Callable[[int], np.ndarray]

    @property
    def used(self) -> np.ndarray:
        """Numbers of the frames that are used."""
        return np.flatnonzero(self.solved.tracks.valid)


def judge(seen: Evidence) -> dict[str, Any]:
    """The quality report as plain data; docs/formats.md describes it."""
    figures = measure(seen)
    found = limits(figures)
    points = max(0, round(100 - sum(limit["points"] for limit in found)))
    figures["grade"] = {"points": points, "word": word(points), "limits": found}
    figures["warnings"] = warnings(figures)
    figures["advice"] = advice(found)
    return figures


def brief(figures: dict[str, Any]) -> dict[str, Any]:
    """The part of the report that ``capture.json`` repeats."""
    return {
        "grade": {key: figures["grade"][key] for key in ("points", "word")},
        "advice": [tip["text"] for tip in figures["advice"]],
        "warnings": figures["warnings"],
        "frames_used": figures["frames"]["used"],
        "wobble": figures["motion"]["wobble"],
    }


def measure(seen: Evidence) -> dict[str, Any]:
    """Figures only, nothing judged."""
    rows, tracks, solution, fps = seen.rows, seen.solved.tracks, seen.solved.solution, seen.fps
    used = seen.used if len(seen.used) else np.arange(len(rows))
    angles = np.degrees(seeing.head_angles(tracks.head_pose))
    crop = seen.framing.crop
    error = reprojection(tracks, solution.focal, crop.out_width, crop.out_height)
    opening = mouth_opening_and_width(tracks.landmarks_head[used])[:, 0] * 1000.0
    low, high = np.percentile(opening, [5, 98])
    features = seen.heard.features
    visemes = None if features is None else hearing.visemes_heard(features)
    facts = seen.facts
    return {
        "format": "splatalk report",
        "version": VERSION,
        "recording": {
            "name": facts.path.name,
            "seconds": round(len(rows) / fps, 2),
            "width": facts.width,
            "height": facts.height,
            "fps": round(facts.fps, 3),
            "codec": facts.codec,
        },
        "frames": {
            "total": len(rows),
            "used": int(tracks.valid.sum()),
            "by_reason": dict(collections.Counter(seen.solved.reasons.values()).most_common()),
            "left_out": stretches(seen.solved.reasons, fps),
        },
        "face": {
            "size_px": round(seen.framing.size, 1),
            "focal_px": round(solution.focal, 1),
            "reprojection_px": round(float(np.median(error)), 3),
        },
        "picture": {**seeing.light(rows, angles[:, 0], fps), **_sharpness(seen, used)},
        "pose": seeing.reached(angles[used], fps),
        "mouth": {
            "closed_mm": round(float(low), 1),
            "widest_mm": round(float(high), 1),
            "blinks": seeing.blinks(tracks.blendshapes),
        },
        "speech": {
            "visemes": visemes,
            "shapes": None if visemes is None else hearing.shapes_heard(visemes),
            "lips_predicted": None
            if features is None
            else hearing.lips_predicted(features, tracks.landmarks_head, tracks.valid, fps),
        },
        "sound": hearing.levels(seen.heard.samples),
        "sync": hearing.sync_figures(seen.heard),
        "motion": {
            "wobble": seeing.wobble(tracks.head_pose, solution.focal),
            "torso_followed": round(float((seen.torso.support > 0).mean()), 3),
            **skin_figures(seen.solved),
        },
        "background": {"seen": round(seen.plate.seen, 3), "moving": round(seen.plate.moving, 4)},
    }


def skin_figures(solved: Solved) -> dict[str, float | None]:
    """Share of the frames whose head pose rests on followed skin, and how far (pixels) its points are from agreeing."""
    if solved.skin is None:
        return {"skin_followed": 0.0, "skin_px": None}
    return {
        "skin_followed": round(solved.skin.followed, 3),
        "skin_px": round(float(np.median(solved.skin.residual)), 3),
    }


def _sharpness(seen: Evidence, used: np.ndarray) -> dict[str, float | None]:
    """Blur of the face, None where grain hides it, and grain: medians over frames spread over those that are used."""
    blur, grain = [], []
    for i in used[np.linspace(0, len(used) - 1, min(_LOOKED_AT, len(used))).round().astype(int)]:
        gray = cv2.cvtColor(seen.frame(int(i)), cv2.COLOR_RGB2GRAY)
        x0, y0, x1, y1 = np.maximum(seen.solved.tracks.face_box[i], 0).astype(int)
        face = gray[y0:y1, x0:x1]
        blur.append(seeing.blur(face) if min(face.shape) >= 16 else None)
        grain.append(seeing.grain(gray))
    known = [value for value in blur if value is not None]
    sure = len(known) > len(blur) / 2
    return {
        "blur_px": round(float(np.median(known)), 2) if sure else None,
        "grain": round(float(np.median(grain)), 2),
    }


def word(points: int) -> str:
    """The grade in words."""
    return next(text for least, text in _GRADES if points >= least)


def warnings(figures: dict[str, Any]) -> list[str]:
    """What happened to the recording, and what may spoil the avatar whatever else is done."""
    found = []
    sync, frames = figures["sync"], figures["frames"]
    if figures["sound"]["silent"]:
        found.append("The sound track is silent: the avatar cannot learn to speak from it.")
    elif sync["moved_s"]:
        late = "late" if sync["moved_s"] > 0 else "early"
        found.append(f"The sound came {abs(sync['moved_s']):.2f} s {late}: corrected.")
    elif sync["checked"] and sync["agreement"] < _SURE_TO_MATCH:
        found.append("The lips do not follow the sound: is it the speech of the person in the picture?")
    if frames["used"] < 0.9 * frames["total"]:
        reason = next(iter(frames["by_reason"]), "unknown")
        found.append(f"{frames['total'] - frames['used']} of {frames['total']} frames are left out: mostly {reason}.")
    if figures["background"]["moving"] > 0.05 and figures["picture"]["grain"] < GRAIN_MOVES:
        found.append("The background moves; it will look frozen behind the avatar.")
    if figures["motion"]["torso_followed"] < 0.5:
        found.append("The shoulders cannot be followed (plain clothes or out of the picture); the torso is held still.")
    return found


def stretches(reasons: dict[int, str], fps: float) -> list[dict[str, Any]]:
    """Unfit frames as stretches of time with one reason each."""
    return [
        {"from": round(begin / fps, 2), "to": round(end / fps, 2), "reason": reason}
        for begin, end, reason in runs(reasons)
    ]
