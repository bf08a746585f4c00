"""How close a compact avatar comes to the full one, in pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from splatalk.avatar.model import Avatar, Motion
from splatalk.export.compact.bases import Bases
from splatalk.export.compact.model import ATTRIBUTES, Compact, posed
from splatalk.export.compact.plate import decode_plate
from splatalk.export.compact.project import as_attributes, offsets_at
from splatalk.export.compact.states import State
from splatalk.render.rasterize import rasterize

MAX_JUDGEMENTS = 7
"""Most choices of ranks that a search looks at."""
_PERFECT = 1e-10  # mean squared error below which PSNR says nothing more


class Judge:
    """Draws held-out states with both and compares.

    Args:
        states: that the bases were not made from.
        features, rows: query features (M, dim) of the compact avatar's dynamic Gaussians, and which of the avatar's
            dynamic ones they are.
        on_picture: called with 1 after each picture.
    """

    def __init__(
        self, avatar: Avatar, states: Sequence[State], features: torch.Tensor, rows: torch.Tensor,
        on_picture: Callable[[int], object],
    ) -> None:  # fmt: skip
        self.avatar, self.states, self.on_picture = avatar, states, on_picture
        every = torch.arange(int(avatar.gaussians.dynamic.sum()))
        all_features = avatar.deformation.features(avatar.gaussians.means[avatar.gaussians.dynamic]).detach()
        plate = _picture(avatar.plate)
        self.offsets, self.truth = [], []
        for state in states:
            self.offsets.append(as_attributes(offsets_at(avatar, state.tokens, features, rows)))
            offsets = offsets_at(avatar, state.tokens, all_features, every)
            splats = avatar.splats(Motion(offsets.values(), None), state.head, state.torso)
            self.truth.append(rasterize(splats.detach(), avatar.camera, plate).image)
            on_picture(1)

    def __call__(self, compact: Compact, bases: Mapping[str, Bases]) -> dict[str, float]:
        """PSNR in dB over all pictures (``psnr_db``), of the worst one, and inside the box of what moves."""
        plate = _picture(decode_plate(compact.plate))
        errors, face = [], []
        for state, offsets, truth in zip(self.states, self.offsets, self.truth, strict=True):
            parts = [bases[name].solve(offsets[name].ravel(), compact.ranks[name]) for name in ATTRIBUTES]
            splats = posed(compact, np.concatenate(parts).astype(np.float32), state.head, state.torso)
            drawn = rasterize(splats, self.avatar.camera, plate).image
            error = (drawn.clamp(0, 1) - truth.clamp(0, 1)).square().mean(-1)
            errors.append(float(error.mean()))
            rows, columns = _box(compact, state, splats.means[: compact.n_dynamic])
            face.append(float(error[rows, columns].mean()))
            self.on_picture(1)
        return {
            "psnr_db": psnr(float(np.mean(errors))),
            "worst_frame_db": psnr(max(errors)),
            "face_db": psnr(float(np.mean(face))),
        }


def n_pictures(n_states: int) -> int:
    """How many pictures a Judge draws for itself and for ``MAX_JUDGEMENTS``."""
    return n_states * (1 + MAX_JUDGEMENTS)


def psnr(mean_squared_error: float) -> float:
    """dB for values 0..1, rounded to 1/100."""
    return round(-10.0 * math.log10(max(mean_squared_error, _PERFECT)), 2)


def _picture(plate: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(plate)).float() / 255.0


def _box(compact: Compact, state: State, means: torch.Tensor) -> tuple[slice, slice]:
    """Rows and columns of the picture that hold nine tenths of the dynamic Gaussians across and down."""
    camera = compact.camera
    points = means.numpy() @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]
    depth = np.maximum(points[:, 2], 1e-3)
    x, y = points[:, 0] / depth * camera.fx + camera.cx, points[:, 1] / depth * camera.fy + camera.cy
    spans = []
    for values, size in ((y, camera.height), (x, camera.width)):
        low, high = np.percentile(values, (5, 95)) if len(values) else (0.0, float(size))
        start = int(np.clip(low, 0, size - 1))
        spans.append(slice(start, int(np.clip(high, start + 1, size))))
    return spans[0], spans[1]
