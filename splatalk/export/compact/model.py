"""What a compact avatar holds, and how a frame is made of it. Plain numpy; nothing here needs the network."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from splatalk.avatar.rig import blend_bones, quat_multiply
from splatalk.render.camera import Camera
from splatalk.render.sh import C0
from splatalk.render.splats import Splats

ATTRIBUTES = ("means", "rotation", "log_scales", "opacity", "color")
"""What moves, in the order of the coefficients."""
WIDTHS = {"means": 3, "rotation": 3, "log_scales": 3, "opacity": 1, "color": 3}
"""Numbers a Gaussian of each attribute."""


@dataclasses.dataclass(frozen=True)
class Plate:
    """The background picture as it is in the file: JPEG, WebP or PNG."""

    data: bytes
    mime: str
    width: int
    height: int


@dataclasses.dataclass(frozen=True)
class EncodedSound:
    """Sound as it is in the file, for a browser to decode."""

    data: bytes
    mime: str
    seconds: float


@dataclasses.dataclass(frozen=True)
class Projection:
    """From the offsets of the full avatar to coefficients, by way of a few thousand of its Gaussians.

    Args:
        rows: (R,) int64, which of the full avatar's dynamic Gaussians are looked at.
        matrices: attribute -> (K, R * width) float32; coefficients are matrix @ offsets - constant.
        constants: attribute -> (K,) float32.
        steps: (K of all attributes,) float32, steps of the coefficients that are too fine to be seen.
    """

    rows: np.ndarray
    matrices: dict[str, np.ndarray]
    constants: dict[str, np.ndarray]
    steps: np.ndarray


@dataclasses.dataclass(frozen=True)
class Compact:
    """N canonical Gaussians, of which the first M move, and the bases they move in. All float32, dequantised.

    Args:
        fps: frames per second of tracks.
        camera: the capture camera; its frame is the world.
        rest_head, rest_torso: (4, 4) canonical to world, the person looking ahead.
        head_centre: (3,) world, metres; what an orbit turns around.
        yaw_range, pitch_range: degrees around the head that the recording covered, seen from the camera.
        means: (N, 3) canonical, metres.
        quats: (N, 4) wxyz, normalised.
        log_scales: (N, 3) natural logarithms of metres.
        opacity_logits: (N,).
        color: (N, 3) sRGB, 0.5 + C0 * sh; clamped to 0 after offsets are added.
        bone: (N,) weight of the head bone, 0..1.
        bases: attribute of ``ATTRIBUTES`` -> (K, M, width) change by a unit of each coefficient: metres, axis-angle
            radians, log-scale, logit (width 1), colour.
        plate: the background.
        provenance: program, recording, consent, as in every export.
        error: figures of the distillation: ``psnr_db`` and others.
        projection: of the avatar it was distilled from; None when read from a file.
    """

    fps: float
    camera: Camera
    rest_head: np.ndarray
    rest_torso: np.ndarray
    head_centre: np.ndarray
    yaw_range: tuple[float, float]
    pitch_range: tuple[float, float]
    means: np.ndarray
    quats: np.ndarray
    log_scales: np.ndarray
    opacity_logits: np.ndarray
    color: np.ndarray
    bone: np.ndarray
    bases: dict[str, np.ndarray]
    plate: Plate
    provenance: dict[str, str]
    error: dict[str, float]
    projection: Projection | None = None

    @property
    def n_gaussians(self) -> int:
        return int(self.means.shape[0])

    @property
    def n_dynamic(self) -> int:
        return int(self.bases["means"].shape[1])

    @property
    def ranks(self) -> dict[str, int]:
        """Attribute -> number of bases."""
        return {name: int(self.bases[name].shape[0]) for name in ATTRIBUTES}

    @property
    def n_coefficients(self) -> int:
        """K, coefficients a frame."""
        return sum(self.ranks.values())


@dataclasses.dataclass(frozen=True)
class Track:
    """Motion over time.

    Args:
        coefficients: (F, K) float32, attributes in the order of ``ATTRIBUTES``.
        head, torso: (F, 4, 4) canonical to world.
    """

    coefficients: np.ndarray
    head: np.ndarray
    torso: np.ndarray

    def __len__(self) -> int:
        return int(self.coefficients.shape[0])


def posed(compact: Compact, coefficients: np.ndarray, head: np.ndarray, torso: np.ndarray) -> Splats:
    """The Gaussians of one frame in the world; what the player in the browser computes too.

    Args:
        coefficients: (K,) float32.
        head, torso: (4, 4) canonical to world.
    """
    m, n = compact.n_dynamic, compact.n_gaussians
    moved = _moved(compact, np.asarray(coefficients, np.float32))
    turn = torch.cat((torch.ones(m, 1), 0.5 * moved["rotation"]), 1)
    quats = torch.from_numpy(compact.quats).clone()
    quats[:m] = torch.nn.functional.normalize(quat_multiply(turn, quats[:m]), dim=-1)
    canonical = {
        "means": torch.from_numpy(compact.means).clone(),
        "log_scales": torch.from_numpy(compact.log_scales).clone(),
        "opacity": torch.from_numpy(compact.opacity_logits).clone().reshape(n, 1),
        "color": torch.from_numpy(compact.color).clone(),
    }
    for name, values in canonical.items():
        values[:m] += moved[name]
    poses = (torch.as_tensor(pose, dtype=torch.float32) for pose in (head, torso))
    means, quats = blend_bones(canonical["means"], quats, torch.from_numpy(compact.bone), *poses)
    sh = ((canonical["color"] - 0.5) / C0)[:, None]
    return Splats(means, quats, canonical["log_scales"].exp(), canonical["opacity"][:, 0].sigmoid(), sh)


def _moved(compact: Compact, coefficients: np.ndarray) -> dict[str, torch.Tensor]:
    """Attribute -> (M, width) sum of the bases."""
    if coefficients.shape != (compact.n_coefficients,):
        raise ValueError(f"coefficients must be ({compact.n_coefficients},), got {coefficients.shape}")
    moved, start = {}, 0
    for name in ATTRIBUTES:
        basis = compact.bases[name]
        part = coefficients[start : start + len(basis)]
        start += len(basis)
        moved[name] = torch.from_numpy(np.tensordot(part, basis, 1))
    return moved
