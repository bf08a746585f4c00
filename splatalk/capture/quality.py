"""What a recording is good for: figures, warnings and advice."""

from __future__ import annotations

from typing import Any

import numpy as np

from splatalk.capture.decode import VideoFacts
from splatalk.capture.extract import Measurements
from splatalk.capture.framing import Framing
from splatalk.capture.geometry import vector_from_rotation
from splatalk.capture.plate import Plate
from splatalk.capture.torso import TorsoTrack
from splatalk.capture.tracks import Solved, reprojection

SILENT_DB = -55.0
_GOOD_FACE, _GOOD_SECONDS, _GOOD_YAW_DEG, _GOOD_PITCH_DEG = 160.0, 60.0, 12.0, 6.0


def judge(
    rows: Measurements,
    solved: Solved,
    torso: TorsoTrack,
    plate: Plate,
    samples: np.ndarray,
    facts: VideoFacts,
    framing: Framing,
    fps: float,
) -> dict[str, Any]:
    """The quality report as plain data; see the keys."""
    tracks, solution = solved.tracks, solved.solution
    angles = np.degrees(head_angles(tracks.head_pose))
    low, high = np.percentile(angles, [2, 98], axis=0)
    sound = sound_levels(samples)
    error = reprojection(tracks, solution.focal, framing.crop.out_width, framing.crop.out_height)
    figures = {
        "seconds": round(len(rows) / fps, 2),
        "frames": len(rows),
        "frames_used": int(tracks.valid.sum()),
        "frames_left_out": _ranges(solved.reasons, fps),
        "face_size_px": round(framing.size, 1),
        "sharpness": round(float(np.median(rows.sharpness[rows.found])), 2),
        "brightness": round(float(np.median(rows.brightness[rows.found])), 1),
        "clipped": round(float(np.median(rows.clipped[rows.found])), 4),
        "pose_range_deg": {
            name: [round(float(low[k]), 1), round(float(high[k]), 1)] for k, name in enumerate(("yaw", "pitch", "roll"))
        },
        "focal_px": round(solution.focal, 1),
        "reprojection_px": round(float(np.median(error)), 3),
        "wobble": {key: round(value, 4) for key, value in wobble(tracks.head_pose).items()},
        "torso_followed": round(float((torso.support > 0).mean()), 3),
        "background_seen": round(plate.seen, 3),
        "background_moving": round(plate.moving, 4),
        "sound": sound,
        "source": {"fps": round(facts.fps, 3), "width": facts.width, "height": facts.height, "codec": facts.codec},
    }
    figures["warnings"] = warnings(figures)
    figures["advice"] = advice(figures)
    return figures


def head_angles(head_pose: np.ndarray) -> np.ndarray:
    """(N, 4, 4) → (N, 3) yaw (+ = subject's left), pitch (+ = up), roll (+ = towards the subject's left shoulder),
    rad.
    """
    rotation = head_pose[:, :3, :3]
    forward = -rotation[:, :, 2]
    yaw = np.arctan2(forward[:, 0], -forward[:, 2])
    pitch = -np.arcsin(np.clip(forward[:, 1], -1.0, 1.0))
    side = rotation[:, :, 0]
    roll = np.arctan2(side[:, 1], side[:, 0])
    return np.stack([yaw, pitch, roll], axis=-1)


def wobble(head_pose: np.ndarray) -> dict[str, float]:
    """RMS second difference of the head's rotation (degrees) and place (millimetres) between frames."""
    turn = np.swapaxes(head_pose[:-1, :3, :3], 1, 2) @ head_pose[1:, :3, :3]
    speed = np.degrees(vector_from_rotation(turn))
    jerk = np.diff(head_pose[:, :3, 3], n=2, axis=0) * 1000.0
    return {
        "rotation_deg": float(np.sqrt((np.diff(speed, axis=0) ** 2).sum(-1).mean())),
        "translation_mm": float(np.sqrt((jerk**2).sum(-1).mean())),
    }


def sound_levels(samples: np.ndarray) -> dict[str, Any]:
    """Loudness of speech and noise in dB below full scale, share of clipped samples, share of time with sound."""
    blocks = samples[: len(samples) // 320 * 320].reshape(-1, 320)
    level = 20.0 * np.log10(np.sqrt((blocks**2).mean(axis=1)) + 1e-7)
    loud, quiet = np.percentile(level, [90, 10])
    return {
        "speech_db": round(float(loud), 1),
        "noise_db": round(float(quiet), 1),
        "clipped": round(float((np.abs(samples) > 0.985).mean()), 5),
        "active": round(float((level > max(loud - 25.0, SILENT_DB)).mean()), 3),
        "silent": bool(loud < SILENT_DB),
    }


def warnings(figures: dict[str, Any]) -> list[str]:
    """What may spoil the avatar."""
    found = []
    if figures["sound"]["silent"]:
        found.append("The sound track is silent: the avatar cannot learn to speak from it.")
    elif figures["sound"]["clipped"] > 0.001:
        found.append("The sound is overdriven.")
    if figures["frames_used"] < 0.9 * figures["frames"]:
        found.append(f"{figures['frames'] - figures['frames_used']} frames are left out; see frames_left_out.")
    if figures["background_moving"] > 0.05:
        found.append("The background moves; it will look frozen behind the avatar.")
    if figures["torso_followed"] < 0.5:
        found.append("The shoulders cannot be followed (plain clothes or out of the picture); the torso is held still.")
    if figures["clipped"] > 0.1:
        found.append("Parts of the face are over- or underexposed.")
    return found


def advice(figures: dict[str, Any]) -> list[str]:
    """At most three things to do better, the most useful first."""
    yaw, pitch = figures["pose_range_deg"]["yaw"], figures["pose_range_deg"]["pitch"]
    found = []
    if figures["sound"]["silent"]:
        found.append("Record again with a working microphone.")
    elif figures["sound"]["speech_db"] - figures["sound"]["noise_db"] < 15:
        found.append("Speak closer to the microphone or in a quieter room.")
    if figures["face_size_px"] < _GOOD_FACE:
        found.append(
            f"Move closer: the face is {figures['face_size_px']:.0f} pixels large, {_GOOD_FACE:.0f} are better."
        )
    if figures["seconds"] < _GOOD_SECONDS:
        found.append(f"Record {_GOOD_SECONDS - figures['seconds']:.0f} s more of lively speech.")
    for side, reached in (("left", yaw[1]), ("right", -yaw[0])):
        if reached < _GOOD_YAW_DEG:
            found.append(
                f"Turn your head further {side}: {max(reached, 0):.0f} of {_GOOD_YAW_DEG:.0f} degrees are seen."
            )
    if pitch[1] - pitch[0] < 2 * _GOOD_PITCH_DEG:
        found.append("Nod a few times, so that the head is seen from above and below.")
    if figures["brightness"] < 60:
        found.append("Use more light on the face.")
    return found[:3]


def _ranges(reasons: dict[int, str], fps: float) -> list[dict[str, Any]]:
    """Unfit frames as stretches of time with one reason each."""
    out: list[dict[str, Any]] = []
    previous: tuple[int, str] | None = None
    for i, reason in sorted(reasons.items()):
        if previous == (i - 1, reason):
            out[-1]["to"] = round((i + 1) / fps, 2)
        else:
            out.append({"from": round(i / fps, 2), "to": round((i + 1) / fps, 2), "reason": reason})
        previous = (i, reason)
    return out
