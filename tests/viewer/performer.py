"""A made-up person of a few thousand Gaussians in the compact format, who opens the mouth as loud as the sound is.

Every attribute has bases and every bone moves, so a player that forgets one of them draws other pixels.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from splatalk.export.compact import Compact, EncodedSound, Plate, Track, encode_sound
from splatalk.export.sound import Sound
from splatalk.render.camera import Camera

SIZE = 200
FPS = 25.0
SECONDS = 2.0
QUIET_UNTIL = 1.0
"""Seconds; then the sound starts and the mouth opens."""
MOUTH = (slice(112, 140), slice(82, 118))
"""Rows and columns of the capture view where the mouth is."""
SKIN, LIPS, SHIRT = (0.85, 0.66, 0.55), (0.45, 0.12, 0.14), (0.2, 0.45, 0.55)
RANKS = {"means": (2, 3), "rotation": (1, 3), "log_scales": (1, 3), "opacity": (1, 1), "color": (1, 3)}


def performer(seed: int = 3) -> tuple[Compact, Track, EncodedSound]:
    rng = np.random.default_rng(seed)
    head = _shell(rng, 1800, (0.075, 0.1, 0.085), (0.0, 0.0, 0.0))
    lips = np.stack((rng.uniform(-0.022, 0.022, 160), rng.normal(0.043, 0.003, 160), np.full(160, -0.086)), 1)
    torso = _shell(rng, 900, (0.2, 0.12, 0.09), (0.0, 0.22, 0.03))
    means = np.concatenate((lips, head, torso)).astype(np.float32)
    parts = np.repeat((0, 1, 2), (len(lips), len(head), len(torso)))
    n, m = len(means), len(lips) + len(head)
    color = np.array((LIPS, SKIN, SHIRT), np.float32)[parts] + rng.normal(0, 0.04, (n, 3)).astype(np.float32)
    quats = rng.standard_normal((n, 4)).astype(np.float32)
    compact = Compact(
        fps=FPS,
        camera=Camera(SIZE, SIZE, 420.0, 420.0, SIZE / 2, SIZE / 2),
        rest_head=_pose((0.0, 0.0, 0.0), (0.0, 0.0, 0.9)),
        rest_torso=_pose((0.0, 0.0, 0.0), (0.0, 0.0, 0.9)),
        head_centre=np.array([0.0, 0.0, 0.9]),
        yaw_range=(-20.0, 25.0),
        pitch_range=(-10.0, 12.0),
        means=means,
        quats=quats / np.linalg.norm(quats, axis=1, keepdims=True),
        log_scales=np.log(rng.uniform(0.002, 0.009, (n, 3))).astype(np.float32),
        opacity_logits=rng.uniform(-1.0, 4.0, n).astype(np.float32),
        color=color,
        bone=np.clip(1.0 - (means[:, 1] - 0.08) / 0.06, 0.0, 1.0).astype(np.float32),
        bases=_bases(rng, means[:m]),
        plate=_plate(),
        provenance={"generator": "splatalk test", "synthetic": "computer-generated", "consent": "Nobody's likeness."},
        error={"psnr_db": 99.0},
    )
    return compact, _track(), encode_sound(_sound())


def loudness(time: np.ndarray) -> np.ndarray:
    """0..1 over seconds."""
    return np.where(time < QUIET_UNTIL, 0.0, 0.6 + 0.4 * np.sin(12 * time))


def _bases(rng: np.random.Generator, means: np.ndarray) -> dict[str, np.ndarray]:
    """One change a coefficient; the first opens the mouth: the lips part and darken, the jaw drops."""
    bases = {name: 0.1 * rng.standard_normal((k, len(means), w)) for name, (k, w) in RANKS.items()}
    lips = means[:, 2] < -0.0859
    jaw = np.clip((means[:, 1] - 0.03) / 0.05, 0.0, 1.0) * (means[:, 2] < 0)
    bases["means"] = np.zeros((2, len(means), 3))
    bases["means"][0, :, 1] = np.where(lips, np.where(means[:, 1] > 0.043, 0.014, -0.004), 0.012 * jaw)
    bases["means"][1, :, 0] = 0.01 * np.sin(40 * means[:, 1])
    bases["color"][0] = np.where(lips[:, None], -0.3, bases["color"][0])
    return {name: values.astype(np.float32) for name, values in bases.items()}


def _track() -> Track:
    time = np.arange(round(SECONDS * FPS)) / FPS
    loud = loudness(time)
    others = [np.sin(2 * time + k) for k in range(4)]
    coefficients = np.stack((loud, np.sin(3 * time), *others[:3], loud), 1).astype(np.float32)
    head = np.stack([_pose((0.05 * np.sin(t), 0.2 * np.sin(2 * t), 0.03), (0.01 * t, 0.0, 0.9)) for t in time])
    torso = np.stack([_pose((0.0, 0.05 * np.sin(t), 0.0), (0.0, 0.004 * t, 0.9)) for t in time])
    return Track(coefficients, head, torso)


def _sound(rate: int = 16_000) -> Sound:
    time = np.arange(round(SECONDS * rate)) / rate
    return Sound.mono((0.4 * loudness(time) * np.sin(2 * np.pi * 180 * time)).astype(np.float32), rate)


def _shell(rng: np.random.Generator, count: int, radii: tuple[float, ...], centre: tuple[float, ...]) -> np.ndarray:
    directions = rng.standard_normal((count, 3))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True) * radii + centre


def _pose(rotvec: tuple[float, ...], translation: tuple[float, ...]) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec(rotvec).as_matrix()
    pose[:3, 3] = translation
    return pose


def _plate() -> Plate:
    across, down = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    picture = np.stack((60 + across // 2, 70 + down // 2, np.full_like(across, 120)), -1).astype(np.uint8)
    ok, data = cv2.imencode(".png", picture[..., ::-1])
    assert ok
    return Plate(data.tobytes(), "image/png", SIZE, SIZE)
