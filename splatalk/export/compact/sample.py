"""A tiny made-up compact avatar and what a reader must make of it, for tests of readers in other languages.

python -m splatalk.export.compact.sample FOLDER
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from splatalk import files
from splatalk.export.compact.layout import Contents, read, to_bytes
from splatalk.export.compact.model import ATTRIBUTES, WIDTHS, Compact, EncodedSound, Plate, Track, posed
from splatalk.export.compact.plate import encode_plate
from splatalk.render.camera import Camera
from splatalk.render.sh import sh_to_color

FILE, EXPECTED = "sample.compact", "sample.json"
N_GAUSSIANS, N_DYNAMIC, N_FRAMES = 24, 10, 5
RANKS = {"means": 3, "rotation": 2, "log_scales": 0, "opacity": 1, "color": 2}
DIGITS = 7


def sample() -> tuple[Compact, Track, EncodedSound]:
    """Random numbers of sensible size; the sound is no sound, only bytes."""
    rng = np.random.default_rng(7)
    n = N_GAUSSIANS

    def values(*shape: int, size: float = 1.0) -> np.ndarray:
        return np.asarray(size * rng.standard_normal(shape), np.float32)

    quats = values(n, 4)
    compact = Compact(
        fps=25.0,
        camera=Camera(64, 48, 80.0, 80.0, 32.0, 24.0),
        rest_head=_pose(0.0, (0.0, 0.0, 0.6)),
        rest_torso=_pose(0.1, (0.0, 0.02, 0.6)),
        head_centre=np.array([0.0, 0.0, 0.6]),
        yaw_range=(-12.0, 15.0),
        pitch_range=(-6.0, 8.0),
        means=values(n, 3, size=0.05),
        quats=quats / np.linalg.norm(quats, axis=1, keepdims=True),
        log_scales=values(n, 3) - 5.0,
        opacity_logits=values(n),
        color=rng.uniform(0.0, 1.0, (n, 3)).astype(np.float32),
        bone=rng.uniform(0.0, 1.0, n).astype(np.float32),
        bases={k: values(RANKS[k], N_DYNAMIC, WIDTHS[k], size=0.01 if k == "means" else 0.1) for k in ATTRIBUTES},
        plate=_plate(),
        provenance={"generator": "splatalk", "consent": "Nobody's likeness: “made up”."},
        error={"psnr_db": 41.5},
    )
    turns = np.linspace(0.0, 0.4, N_FRAMES)
    head = np.stack([_pose(turn, (0.01, 0.0, 0.6)) for turn in turns])
    torso = np.stack([_pose(-0.2 * turn, (0.0, 0.02, 0.61)) for turn in turns])
    track = Track(values(N_FRAMES, sum(RANKS.values())), head, torso)
    return compact, track, EncodedSound(bytes(range(64)), "audio/mp4", 0.2)


def write_sample(folder: Path) -> None:
    """``sample.compact`` and ``sample.json``, what a reader must find in it."""
    data = to_bytes(*sample())
    with files.atomic_path(folder / FILE) as path:
        path.write_bytes(data)
    with files.atomic_path(folder / EXPECTED) as path:
        path.write_text(json.dumps(expected(read(data)), indent=1) + "\n", encoding="utf-8")


def expected(contents: Contents) -> dict[str, Any]:
    """Everything a reader must find, flattened row by row: the Gaussians at rest, bases, track, and posed frames."""
    compact, track, sound = contents.compact, contents.track, contents.sound
    assert track is not None and sound is not None
    canonical = {
        f.name: _flat(getattr(compact, f.name))
        for f in dataclasses.fields(compact)
        if f.name in ("means", "quats", "log_scales", "opacity_logits", "color", "bone")
    }
    return {
        "n_gaussians": compact.n_gaussians,
        "n_dynamic": compact.n_dynamic,
        "n_frames": len(track),
        "fps": compact.fps,
        "ranks": compact.ranks,
        "range": {"yaw": compact.yaw_range, "pitch": compact.pitch_range},
        "provenance": compact.provenance,
        "plate": {"mime": compact.plate.mime, "bytes": len(compact.plate.data)},
        "sound": {"mime": sound.mime, "seconds": sound.seconds, "data": list(sound.data)},
        "canonical": canonical,
        "bases": {name: _flat(values) for name, values in compact.bases.items()},
        "coefficients": _flat(track.coefficients),
        "head": _flat(track.head),
        "torso": _flat(track.torso),
        "posed": {str(i): _posed(compact, track, i) for i in (0, N_FRAMES - 1)},
    }


def _posed(compact: Compact, track: Track, frame: int) -> dict[str, list[float]]:
    """Frame ``frame`` in the world; quaternions of unit length with their largest part positive; colours clamped."""
    splats = posed(compact, track.coefficients[frame], track.head[frame], track.torso[frame])
    quats = splats.quats.numpy().astype(np.float64)
    quats /= np.linalg.norm(quats, axis=1, keepdims=True)
    largest = np.take_along_axis(quats, np.abs(quats).argmax(1)[:, None], 1)
    return {
        "means": _flat(splats.means.numpy()),
        "quats": _flat(quats * np.sign(largest)),
        "scales": _flat(splats.scales.numpy()),
        "opacities": _flat(splats.opacities.numpy()),
        "color": _flat(sh_to_color(splats.sh).numpy()),
    }


def _flat(values: np.ndarray) -> list[float]:
    return [round(float(x), DIGITS) for x in np.asarray(values, np.float64).ravel()]


def _pose(turn: float, translation: tuple[float, float, float]) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec((0.3 * turn, turn, 0.0)).as_matrix()
    pose[:3, 3] = translation
    return pose


def _plate() -> Plate:
    across, down = np.meshgrid(np.arange(64), np.arange(48))
    return encode_plate(np.stack((across * 4, down * 5, across * 0 + 90), -1).astype(np.uint8))


if __name__ == "__main__":
    write_sample(Path(sys.argv[1]))
