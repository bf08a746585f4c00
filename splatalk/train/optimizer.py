"""Adam over named tensors, whose rows can be selected and repeated when Gaussians come and go."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor, nn

BETAS, EPS = (0.9, 0.99), 1e-15


@dataclasses.dataclass(frozen=True)
class Rate:
    """A learning rate that falls exponentially from ``start`` to ``end`` over training."""

    start: float
    end: float

    def at(self, progress: float) -> float:
        """``progress`` in 0..1."""
        return self.start * (self.end / self.start) ** min(max(progress, 0.0), 1.0)


class NamedAdam:
    """Adam (Kingma & Ba 2015, algorithm 1) with one parameter group a name.

    Args:
        parameters: name to parameter.
        rates: name to learning rate.
    """

    def __init__(self, parameters: dict[str, nn.Parameter], rates: dict[str, Rate]) -> None:
        self.rates = rates
        groups = [{"params": [p], "name": n, "lr": rates[n].start} for n, p in parameters.items()]
        self.adam = torch.optim.Adam(groups, lr=1e-3, betas=BETAS, eps=EPS, fused=True)

    def step(self, progress: float, active: Callable[[str], bool] = lambda _: True) -> None:
        """Update the parameters whose name is ``active`` and that have a gradient; forget all gradients."""
        for group in self.adam.param_groups:
            group["lr"] = self.rates[group["name"]].at(progress)
            if not active(group["name"]):
                group["params"][0].grad = None
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)

    def replace_rows(self, name: str, rows: Tensor, fresh: int, value: Tensor) -> nn.Parameter:
        """Give ``name`` the value ``value``: the moments of ``rows`` stay, ``fresh`` appended rows start at zero."""
        group = next(g for g in self.adam.param_groups if g["name"] == name)
        old = group["params"][0]
        state = self.adam.state.pop(old, None)
        new = nn.Parameter(value.detach().contiguous())
        if state:
            for key in ("exp_avg", "exp_avg_sq"):
                kept = state[key][rows]
                state[key] = torch.cat((kept, kept.new_zeros((fresh, *kept.shape[1:]))))
            self.adam.state[new] = state
        group["params"][0] = new
        return new

    def state_tensors(self) -> dict[str, Tensor]:
        """Moments and step counts by name, for a checkpoint."""
        tensors = {}
        for group in self.adam.param_groups:
            for key, value in self.adam.state.get(group["params"][0], {}).items():
                tensors[f"{group['name']}/{key}"] = value.detach().clone()
        return tensors

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        """The reverse of ``state_tensors``."""
        for group in self.adam.param_groups:
            prefix = f"{group['name']}/"
            parameter = group["params"][0]
            state = {
                k.removeprefix(prefix): v.to(parameter.device, copy=True)
                for k, v in tensors.items()
                if k.startswith(prefix)
            }
            if state:
                self.adam.state[parameter] = state
