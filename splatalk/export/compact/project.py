"""From the full avatar's offsets to a compact one's coefficients, fast enough for live use."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from splatalk.avatar.controls import Controls, Performance
from splatalk.avatar.model import Avatar, Tokens
from splatalk.avatar.network import Offsets
from splatalk.export.compact.model import ATTRIBUTES, Compact, Projection, Track
from splatalk.render.sh import C0


def coefficients(compact: Compact, offsets: Offsets) -> np.ndarray:
    """(K,) float32: the coefficients that come closest to what the network says.

    Args:
        compact: with its projection, so from ``distil``.
        offsets: of the avatar it was distilled from (``Avatar.offsets``), all its dynamic Gaussians.
    """
    projection = _projection(compact)
    rows = torch.from_numpy(projection.rows)
    parts = {f.name: getattr(offsets, f.name).detach()[rows] for f in dataclasses.fields(offsets)}
    return _project(projection, Offsets(**parts))


class LiveProjector:
    """Controls to coefficients without ever asking the network about more Gaussians than the projection looks at.

    Args:
        avatar: what ``compact`` was distilled from.
        compact: with its projection.
    """

    def __init__(self, avatar: Avatar, compact: Compact) -> None:
        self.avatar, self.projection = avatar, _projection(compact)
        self.rows = torch.from_numpy(self.projection.rows)
        means = avatar.gaussians.means[avatar.gaussians.dynamic]
        if len(self.rows) and self.projection.rows.max() >= len(means):
            raise ValueError("the compact avatar was not distilled from this avatar")
        with torch.no_grad():
            self.features = avatar.deformation.features(means[self.rows])

    @torch.no_grad()
    def __call__(self, controls: Controls) -> np.ndarray:
        """(K,) float32."""
        tokens = self.avatar.tokens(controls)
        return _project(self.projection, offsets_at(self.avatar, tokens, self.features, self.rows))


@torch.no_grad()
def offsets_at(avatar: Avatar, tokens: Tokens, features: Tensor, rows: Tensor) -> Offsets:
    """Offsets of some of the dynamic Gaussians.

    Args:
        features: (R, dim) their query features.
        rows: (R,) int64, which of the dynamic ones.
    """
    inputs = avatar.deformation.tokens(tokens.mouth, tokens.upper, tokens.eyes, tokens.pose, tokens.speech)
    residual = Offsets.of(avatar.deformation(features, inputs))
    return dataclasses.replace(residual, means=residual.means + avatar.carried(tokens)[rows])


def track_of(
    avatar: Avatar, compact: Compact, performance: Performance, on_frame: Callable[[], object] = lambda: None
) -> Track:
    """The motion of every frame of a performance.

    Args:
        avatar: what ``compact`` was distilled from.
        on_frame: called after each frame.
    """
    projector = LiveProjector(avatar, compact)
    values = np.empty((len(performance), compact.n_coefficients), np.float32)
    for i in range(len(performance)):
        values[i] = projector(performance.frame(i))
        on_frame()
    return Track(values, np.asarray(performance.head_pose), np.asarray(performance.torso_pose))


def as_attributes(offsets: Offsets) -> dict[str, np.ndarray]:
    """Attribute -> (R, width) float32 in the units of ``Compact.bases``."""
    fields = (offsets.means, offsets.rotation, offsets.log_scales, offsets.opacity_logits[:, None], offsets.color * C0)
    return {name: values.numpy() for name, values in zip(ATTRIBUTES, fields, strict=True)}


def _projection(compact: Compact) -> Projection:
    if compact.projection is None:
        raise ValueError("a compact avatar that was read from a file has no projection: distil it")
    return compact.projection


def _project(projection: Projection, offsets: Offsets) -> np.ndarray:
    parts = [
        projection.matrices[name] @ np.ascontiguousarray(values).ravel() - projection.constants[name]
        for name, values in as_attributes(offsets).items()
    ]
    return np.concatenate(parts)
