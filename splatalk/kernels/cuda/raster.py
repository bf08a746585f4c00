"""Drawing Gaussians with the project's own CUDA rasterizer; differentiable.

The mathematics is documented, step by step, in `splatalk.kernels.raster_reference`, the design of the kernels in
cuda_ext/cuda/raster.h. The same input gives the same bits, forward and backward.

The number of Gaussian-tile pairs is only known on the GPU. Buffers have room for `PairBudget.capacity` of them; when
that was too little, nothing but the background is drawn and the budget learns it. By default every picture is checked,
which makes the CPU wait for it, and drawn again with more room. A budget with ``deferred`` set leaves the check to its
owner (`PairBudget.settle`), so that nothing waits; while a CUDA graph is captured this is the only way.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from splatalk.kernels.checks import checked, same_length
from splatalk.kernels.cuda import address, extension, stream_of
from splatalk.kernels.raster import Intrinsics, check_means2d_grad, view_matrix

_SLACK = 1.5  # room beyond what was needed


@dataclasses.dataclass
class PairBudget:
    """How many Gaussian-tile pairs there is room for on one device.

    Args:
        device: of the tensors.
        capacity: pairs; 0 lets the first call choose (8 a Gaussian and 4 a tile).
        deferred: draw without looking whether it was enough; call `settle` from time to time instead.
    """

    device: torch.device
    capacity: int = 0
    deferred: bool = False

    def __post_init__(self) -> None:
        self.needed = torch.zeros(1, dtype=torch.int32, device=self.device)  # uint32: the most of all calls

    def reserve(self, gaussians: int, tiles: int) -> int:
        """The capacity for a picture."""
        self.capacity = max(self.capacity, 8 * gaussians + 4 * tiles)
        return self.capacity

    def settle(self) -> bool:
        """Whether every picture so far had enough room; waits for them. If not, makes more for the next ones."""
        needed = int(self.needed.item()) & 0xFFFFFFFF
        if needed <= self.capacity:
            return True
        if needed > 0x7FFFFFFF:
            raise RuntimeError("the Gaussians cover more than 2^31 tiles together")
        self.capacity = int(needed * _SLACK)
        return False


@functools.cache
def _budget_of(device: torch.device) -> PairBudget:
    return PairBudget(device)


@dataclasses.dataclass(frozen=True)
class _Setting:
    view: np.ndarray
    intrinsics: Intrinsics
    width: int
    height: int
    means2d_grad: Tensor | None
    budget: PairBudget

    @property
    def tiles(self) -> int:
        return -(-self.width // 16) * -(-self.height // 16)


class _Rasterize(torch.autograd.Function):
    """The graph node."""

    @staticmethod
    def forward(ctx: Any, means, quats, scales, opacities, colors, background, setting: _Setting):
        gaussians, n = (means, quats, scales, opacities, colors), means.shape[0]
        new = {"dtype": torch.float32, "device": means.device}
        image = torch.empty(setting.height, setting.width, 3, **new)
        alpha, radii = torch.empty(setting.height, setting.width, **new), torch.empty(n, **new)
        while True:
            capacity = setting.budget.reserve(n, setting.tiles)
            state = _draw(gaussians, background, setting, capacity, image, alpha, radii)
            if setting.budget.deferred or _capturing(means) or setting.budget.settle():
                break
        ctx.save_for_backward(*gaussians, image, alpha, state)
        ctx.setting, ctx.capacity, ctx.plate = setting, capacity, background.ndim == 3
        ctx.mark_non_differentiable(radii)
        ctx.set_materialize_grads(False)
        return image, alpha, radii

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_image: Tensor | None, d_alpha: Tensor | None, _d_radii: None):
        *gaussians, image, alpha, state = ctx.saved_tensors
        setting: _Setting = ctx.setting
        n = gaussians[0].shape[0]
        d_image = torch.zeros_like(image) if d_image is None else d_image.contiguous()
        d_alpha = None if d_alpha is None else d_alpha.contiguous()
        gradients = [torch.empty_like(t) for t in gaussians]
        means2d_grad = setting.means2d_grad if setting.means2d_grad is not None else image.new_empty(n, 2)
        pair_sums = image.new_empty(ctx.capacity, 9)
        extension(image.device).raster_backward(
            [address(t) for t in gaussians], n, setting.view, setting.intrinsics, setting.width, setting.height,
            address(image), address(alpha), address(d_image), address(d_alpha), address(state), ctx.capacity,
            address(pair_sums), [address(t) for t in (*gradients, means2d_grad)], stream_of(image),
        )  # fmt: skip
        d_background = None
        if ctx.needs_input_grad[5]:
            d_background = d_image * (1 - alpha)[..., None]
            if not ctx.plate:
                d_background = d_background.sum((0, 1))
        return (*gradients, d_background, None)


def _draw(gaussians, background, setting: _Setting, capacity: int, image, alpha, radii) -> Tensor:
    """Enqueues one picture; the memory that the backward pass needs."""
    module, n = extension(image.device), len(radii)
    size = (n, setting.width, setting.height, capacity)
    state = torch.empty(module.raster_state_bytes(*size), dtype=torch.uint8, device=image.device)
    module.raster_forward(
        [address(t) for t in gaussians], n, setting.view, setting.intrinsics, setting.width, setting.height,
        address(background), background.ndim == 3, address(image), address(alpha), address(radii), address(state),
        capacity, address(setting.budget.needed), stream_of(image),
    )  # fmt: skip
    return state


def _capturing(tensor: Tensor) -> bool:
    return tensor.device.type == "cuda" and torch.cuda.is_current_stream_capturing()


def rasterize_cuda(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmat: Tensor | np.ndarray,
    intrinsics: Intrinsics,
    width: int,
    height: int,
    background: Tensor | None = None,
    means2d_grad: Tensor | None = None,
    budget: PairBudget | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Like `splatalk.kernels.raster.rasterize_cpu`, on CUDA tensors; on CPU tensors through the host shim, for tests.

    Args:
        viewmat: on the CPU, best; one on the GPU makes the CPU wait for it.
        budget: room for pairs and when to check that it was enough; None is one per device, checked at every call.

    Raises:
        ValueError: wrong shapes, types or devices.
        RuntimeError: the kernels were not built for this device, or more than 2^31 pairs.
    """
    device = means.device if isinstance(means, Tensor) else torch.device("cpu")
    means, quats = checked("means", means, (None, 3), device), checked("quats", quats, (None, 4), device)
    scales, opacities = checked("scales", scales, (None, 3), device), checked("opacities", opacities, (None,), device)
    colors = checked("colors", colors, (None, 3), device)
    n = same_length(means=means, quats=quats, scales=scales, opacities=opacities, colors=colors)
    if not (0 < width <= 65536 and 0 < height <= 65536):
        raise ValueError(f"the image must be 1 to 65536 pixels wide and high, got {width}x{height}")
    if background is None:
        background = torch.zeros(3, device=device)
    plate = isinstance(background, Tensor) and background.ndim == 3
    background = checked("background", background, (height, width, 3) if plate else (3,), device)
    if means2d_grad is not None:
        check_means2d_grad(means2d_grad, n, device)
    if budget is None:
        budget = _budget_of(device)
    fx, fy, cx, cy = (float(value) for value in intrinsics)
    setting = _Setting(view_matrix(viewmat), (fx, fy, cx, cy), int(width), int(height), means2d_grad, budget)
    return _Rasterize.apply(means, quats, scales, opacities, colors, background, setting)
