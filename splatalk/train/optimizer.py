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
    """Adam (Kingma & Ba 2015, algorithm 1) over named parameters; those of one rate are updated together.

    Args:
        parameters: name to parameter.
        rates: name to learning rate.
    """

    def __init__(self, parameters: dict[str, nn.Parameter], rates: dict[str, Rate]) -> None:
        self.parameters = dict(parameters)
        groups: dict[Rate, list[nn.Parameter]] = {}
        for name, parameter in parameters.items():
            groups.setdefault(rates[name], []).append(parameter)
        self.rates = list(groups)
        self.adam = torch.optim.Adam(
            [{"params": members, "lr": rate.start} for rate, members in groups.items()],
            lr=1e-3, betas=BETAS, eps=EPS, fused=True,
        )  # fmt: skip

    def step(self, progress: float, active: Callable[[str], bool] = lambda _: True) -> None:
        """Update the parameters whose name is ``active`` and that have a gradient; forget all gradients."""
        for name, parameter in self.parameters.items():
            if not active(name):
                parameter.grad = None
        for group, rate in zip(self.adam.param_groups, self.rates, strict=True):
            group["lr"] = rate.at(progress)
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)

    def replace_rows(self, name: str, rows: Tensor, fresh: int, value: Tensor) -> nn.Parameter:
        """Give ``name`` the value ``value``: the moments of ``rows`` stay, ``fresh`` appended rows start at zero."""
        old, new = self.parameters[name], nn.Parameter(value.detach().contiguous())
        state = self.adam.state.pop(old, None)
        if state:
            for key in ("exp_avg", "exp_avg_sq"):
                kept = state[key][rows]
                state[key] = torch.cat((kept, kept.new_zeros((fresh, *kept.shape[1:]))))
            self.adam.state[new] = state
        for group in self.adam.param_groups:
            group["params"] = [new if parameter is old else parameter for parameter in group["params"]]
        self.parameters[name] = new
        return new

    def state_tensors(self) -> dict[str, Tensor]:
        """Moments and step counts by name, for a checkpoint."""
        return {
            f"{name}/{key}": value.detach().clone()
            for name, parameter in self.parameters.items()
            for key, value in self.adam.state.get(parameter, {}).items()
        }

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        """The reverse of ``state_tensors``."""
        for name, parameter in self.parameters.items():
            prefix = f"{name}/"
            state = {
                k.removeprefix(prefix): v.to(parameter.device, copy=True)
                for k, v in tensors.items()
                if k.startswith(prefix)
            }
            if state:
                self.adam.state[parameter] = state
