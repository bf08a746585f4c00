"""Growing Gaussians where the picture asks for them and removing those that nobody sees.

After 3D Gaussian Splatting (Kerbl et al. 2023, section 5.2), with a budget in place of a threshold: each round adds
the Gaussians whose screen position is pulled hardest, up to a share of the present number.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from splatalk.avatar.gaussians import ATTACHED, PARAMETERS, Gaussians
from splatalk.train.optimizer import NamedAdam

MIN_OPACITY = 0.01
SPLIT_PIXELS = 2.5
"""A Gaussian with a larger screen standard deviation than this is split, a smaller one cloned."""


class PullStatistics:
    """Mean screen-space gradient of each Gaussian since the last round."""

    def __init__(self, n: int, device: torch.device) -> None:
        self.total, self.seen = torch.zeros(n, device=device), torch.zeros(n, device=device)

    def add(self, gradient: Tensor, visible: Tensor) -> None:
        """``gradient`` (N,) norm of the 2D mean's gradient, ``visible`` (N,) bool."""
        self.total += gradient
        self.seen += visible

    def mean(self) -> Tensor:
        return self.total / self.seen.clamp_min(1.0)


def densify(
    gaussians: Gaussians,
    optimizer: NamedAdam,
    pull: PullStatistics,
    *,
    budget: int,
    share: float,
    pixel: float,
    generator: torch.Generator,
) -> None:
    """One round: prune, then clone or split. Changes ``gaussians`` and ``optimizer`` in place.

    Args:
        budget: most Gaussians there may be.
        share: most that one round adds, as a share of those present.
        pixel: metres that one pixel covers at the person's distance.
        generator: on the CPU, so that the same seed grows alike on every device.
    """
    with torch.no_grad():
        opacity = gaussians.opacity_logits.sigmoid()
        size = gaussians.log_scales.exp().amax(1)
        keep = torch.nonzero((opacity > MIN_OPACITY) & (size < 0.08))[:, 0]
        strength = pull.mean()[keep]
        room = min(budget - len(keep), int(share * len(keep)), int((strength > 0).sum()))
        grown = keep[strength.topk(max(room, 0)).indices]
        split = size[grown] > SPLIT_PIXELS * pixel
        child = {n: getattr(gaussians, n)[grown].clone() for n in PARAMETERS}
        noise = torch.randn((len(grown), 3), generator=generator).to(size.device) * size[grown, None]
        child["means"] += noise * torch.where(split, 0.7, 0.2)[:, None]
        child["log_scales"] -= torch.where(split, math.log(1.6), 0.0)[:, None]
        gaussians.log_scales[grown] -= torch.where(split, math.log(1.6), 0.0)[:, None]
        for name in PARAMETERS:
            value = torch.cat((getattr(gaussians, name)[keep], child[name]))
            setattr(gaussians, name, optimizer.replace_rows(f"gaussians/{name}", keep, len(grown), value))
        for name in ATTACHED:
            setattr(gaussians, name, getattr(gaussians, name)[torch.cat((keep, grown))])
