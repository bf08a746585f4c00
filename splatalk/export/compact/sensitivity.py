"""How much the picture changes when a Gaussian does: what decides which motion is worth its bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch

from splatalk.avatar.model import Avatar, Motion
from splatalk.export.compact.model import ATTRIBUTES
from splatalk.export.compact.states import State
from splatalk.export.views import view
from splatalk.render.rasterize import rasterize
from splatalk.render.sh import C0

VIEWS = ((0.0, 0.0), (22.0, 0.0), (0.0, 12.0), (0.0, 0.0), (-22.0, 0.0), (0.0, -12.0))
"""Yaw and pitch in degrees, taken in turn: the front counts most, the sides are not forgotten."""
PROBES = 12


@dataclasses.dataclass(frozen=True)
class Sensitivity:
    """Squared change of the picture, summed over pixels and channels (0..1), by a unit of an attribute squared.

    Args:
        attributes: attribute -> (M,) float32, dynamic Gaussians; units as in ``Compact.bases``.
        seen: (N,) float32, the same for the colour of all Gaussians, in the view that shows each one best.
    """

    attributes: dict[str, np.ndarray]
    seen: np.ndarray


def sensitivity(avatar: Avatar, states: Sequence[State], on_probe: Callable[[], object], seed: int = 0) -> Sensitivity:
    """The diagonal of JᵀJ, J the picture's derivatives, by Hutchinson's estimate: E[(Jᵀr)²] for random signs r.

    Args:
        states: where to look; taken in turn.
        on_probe: called ``PROBES`` times.
    """
    with torch.no_grad():
        features = avatar.deformation.features(avatar.gaussians.means[avatar.gaussians.dynamic])
    generator = torch.Generator().manual_seed(seed)
    total = {name: torch.zeros(len(features)) for name in ATTRIBUTES}
    seen = torch.zeros(avatar.n_gaussians)
    for probe in range(PROBES):
        state = states[(probe * len(states)) // PROBES]
        with torch.no_grad():
            offsets = avatar.offsets(state.tokens, features)
        values = [getattr(offsets, f.name).detach().requires_grad_() for f in dataclasses.fields(offsets)]
        splats = avatar.splats(Motion(type(offsets)(*values).values(), None), state.head, state.torso)
        splats.sh.retain_grad()
        image = rasterize(splats, view(avatar, *VIEWS[probe % len(VIEWS)])).image
        signs = torch.randint(0, 2, image.shape, generator=generator) * 2.0 - 1.0
        (image * signs).sum().backward()
        for name, value in zip(total, values, strict=True):
            assert value.grad is not None
            total[name] += value.grad.square().reshape(len(features), -1).mean(1) / PROBES
        assert splats.sh.grad is not None
        seen = torch.maximum(seen, splats.sh.grad[:, 0].square().mean(1))
        on_probe()
    total["color"] /= C0**2
    return Sensitivity({name: value.numpy() for name, value in total.items()}, (seen / C0**2).numpy())
