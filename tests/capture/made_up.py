"""A made-up recording, as the capture stage would have measured it, and figures of a perfect one."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from splatalk.capture.dataset import Tracks
from splatalk.capture.decode import Crop, VideoFacts
from splatalk.capture.framing import Framing
from splatalk.capture.hearing import SHAPES, Heard
from splatalk.capture.measurements import Measurements
from splatalk.capture.plate import Plate
from splatalk.capture.quality import Evidence
from splatalk.capture.skin_pose import SkinPoses
from splatalk.capture.tracks import Solved
from splatalk.speech.sync import Offset
from splatalk.speech.visemes import VISEMES

SIDE = 96

PERFECT: dict[str, Any] = {
    "format": "splatalk report",
    "version": 1,
    "recording": {"name": "me.mp4", "seconds": 90.0, "width": 512, "height": 512, "fps": 25.0, "codec": "h264"},
    "frames": {"total": 2250, "used": 2250, "by_reason": {}, "left_out": []},
    "face": {"size_px": 200.0, "focal_px": 900.0, "reprojection_px": 0.3},
    "picture": {"brightness": 140, "drift": 0.03, "flicker": 0.01, "clipped": 0.0, "blur_px": 0.8, "grain": 1.0},
    "pose": {
        "yaw_deg": [-25, 25], "pitch_deg": [-12, 12], "roll_deg": [-5, 5], "left_deg": 25.0, "right_deg": 25.0,
        "up_deg": 12.0, "down_deg": 12.0, "pitch_middle_deg": 0.0, "coverage": [[2.5, 2.5, 60.0], [22.5, -7.5, 30.0]],
    },
    "mouth": {"closed_mm": 0.4, "widest_mm": 14.0, "blinks": 20},
    "speech": {
        "visemes": {name: 50 for name in VISEMES if name != "sil"},
        "shapes": [{"name": s.name, "sounds": s.sounds, "heard": 80, "wanted": s.wanted} for s in SHAPES],
        "lips_predicted": {"correlation": 0.9, "correlation_half": 0.88},
    },
    "sound": {
        "speech_db": -22.0, "noise_db": -70.0, "snr_db": 48.0, "clipped": 0.0, "active": 0.7, "silent": False,
        "hum": None,
    },
    "sync": {
        "checked": True, "moved_s": 0.0, "agreement": 0.6, "score": 0.6, "score_at_zero": 0.6, "clear": False,
        "curve": [[-0.1, 0.2], [0.0, 0.6], [0.1, 0.3]],
    },
    "motion": {
        "wobble": {"rotation_deg": 0.03, "translation_mm": 0.1, "px": 0.06},
        "torso_followed": 1.0, "skin_followed": 1.0, "skin_px": 0.2,
    },
    "background": {"seen": 0.6, "moving": 0.0},
}  # fmt: skip
"""Figures with which nothing is wrong."""


def figures(changes: dict[str, Any]) -> dict[str, Any]:
    """``PERFECT`` with other values at some ``group.key``."""
    out = copy.deepcopy(PERFECT)
    for place, value in changes.items():
        group, key = place.split(".")
        out[group][key] = value
    return out


def recording(name: str = "me.mp4", n: int = 100, features: np.ndarray | None = None) -> Evidence:
    """``n`` frames of grey noise in which a flat face looks around; two frames are left out."""
    rng = np.random.default_rng(0)
    face = np.zeros((478, 3))
    face[:, :2] = rng.uniform(-0.07, 0.07, (478, 2))
    poses = np.tile(np.eye(4), (n, 1, 1))
    poses[:, 2, 3] = 0.6
    turn = np.radians(8) * np.sin(np.arange(n) / 10)
    poses[:, 0, 0] = poses[:, 2, 2] = np.cos(turn)
    poses[:, 2, 0], poses[:, 0, 2] = np.sin(turn), -np.sin(turn)
    world = np.einsum("nij,pj->npi", poses[:, :3, :3], face) + poses[:, None, :3, 3]
    landmarks = 150.0 * world[..., :2] / world[..., 2:] + SIDE / 2
    valid = np.ones(n, bool)
    valid[[10, 11]] = False
    box = np.concatenate([landmarks.min(axis=1), landmarks.max(axis=1)], axis=1)
    zeros = np.zeros
    tracks = Tracks(
        landmarks, np.tile(face, (n, 1, 1)), face, zeros((n, 52)), zeros((n, 4)), poses, poses.copy(), valid, box
    )
    solution: Any = SimpleNamespace(focal=150.0, residual=rng.uniform(0, 1, n))
    skin = SkinPoses(poses[:, :3, :3], poses[:, :3, 3], valid.astype(float), np.full(n, 0.25), np.eye(3))
    solved = Solved(tracks, solution, {10: "blurred", 11: "blurred"}, skin)
    rows = Measurements(
        zeros((n, 478, 3)), zeros((n, 52)), np.ones(n, bool), rng.uniform(5, 9, n), rng.uniform(90, 99, n), zeros(n)
    )
    torso: Any = SimpleNamespace(support=np.ones(n))
    picture = rng.integers(0, 255, (SIDE, SIDE, 3)).astype(np.uint8)
    matte = np.ones((SIDE, SIDE), np.float32)
    samples = (0.1 * rng.standard_normal(n * 640)).astype(np.float32)
    heard = Heard(samples, features, Offset(0.0, 0.4, 0.3, False, ((-0.1, 0.1), (0.0, 0.3), (0.1, 0.4))))
    facts = VideoFacts(Path("folder") / name, SIDE, SIDE, SIDE, SIDE, 0, 25.0, n / 25.0, "h264", True, False)
    framing = Framing(Crop(0, 0, SIDE, SIDE, SIDE, SIDE), np.zeros(2), 35.0)
    plate = Plate(picture, 0.5, 0.0)
    return Evidence(
        rows, solved, torso, plate, heard, facts, framing, 25.0, lambda _: picture.copy(), lambda _: matte.copy()
    )
