"""Perceptual distance (LPIPS) of two pictures with AlexNet features, in one compiled pass; differentiable in the first.

`train.perceptual.Lpips` is its twin in plain torch and says what is computed. Here convolutions are Winograd's minimal
filtering, with kernels transformed once, for both directions (see cuda_ext/cpu/winograd.h). Sums have a fixed order.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from splatalk.kernels import compiled
from splatalk.kernels.checks import checked

_SHAPES = ((64, 3, 11, 11), (192, 64, 5, 5), (384, 192, 3, 3), (256, 384, 3, 3), (256, 256, 3, 3))
_LANES, _BLOCK = 16, 4
# Rows: interpolation points; columns: taps. Lavin & Gray 2016, equation 8, and the same points for five taps.
_POINTS = {
    3: torch.tensor([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], dtype=torch.float64),
    5: torch.tensor(
        [[6, 0, 0, 0, 0], [-4] * 5, [-4, 4, -4, 4, -4], [1, 2, 4, 8, 16], [1, -2, 4, -8, 16], [0, 0, 0, 0, 24]],
        dtype=torch.float64,
    )
    / 24,
}


class _Perceptual(torch.autograd.Function):
    """The graph node. ``scale``: what brings 0..1 to the network's range, (6,)."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, scale: Tensor, packed: Tensor) -> Tensor:
        arrays = [t.detach().numpy() for t in (a, b, scale, packed)]
        kept = torch.empty(compiled().perceptual_kept(a.shape[0], a.shape[1]))
        value = compiled().perceptual_forward(*arrays, kept.numpy(), torch.get_num_threads())
        ctx.save_for_backward(a, b, scale, packed)
        ctx.kept = kept
        return a.new_tensor(value)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_value: Tensor):
        arrays = [t.detach().numpy() for t in ctx.saved_tensors]
        d_a = torch.empty_like(ctx.saved_tensors[0])
        compiled().perceptual_backward(*arrays, ctx.kept.numpy(), float(d_value), d_a.numpy(), torch.get_num_threads())
        return d_a, None, None, None


class PerceptualDistance:
    """Distance of a drawn picture from a recorded one, on the CPU.

    Args:
        convolutions: kernel (out, in, k, k) and bias (out,) of AlexNet's five convolutions.
        weights: (out,) of the channels behind each, not negative.
        scale, shift: (3,) each; channel c of a picture in 0..1 enters as ``value * scale[c] + shift[c]``.
    """

    def __init__(
        self, convolutions: list[tuple[Tensor, Tensor]], weights: list[Tensor], scale: Tensor, shift: Tensor
    ) -> None:
        parts: list[Tensor] = []
        for shape, (kernel, bias), weight in zip(_SHAPES, convolutions, weights, strict=True):
            kernel = checked("kernel", kernel, shape).double()
            if kernel.shape[-1] == 11:
                kernel = _of_blocks(kernel)
            parts += [transformed(kernel), transformed(kernel.flip(2, 3).transpose(0, 1)), bias, weight]
        self.packed = torch.cat([part.reshape(-1).float() for part in parts])
        self.scale = torch.cat((scale.reshape(3), shift.reshape(3))).float()

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """() distance of a (H, W, 3) from b, sRGB in 0..1, sides of 35 pixels or more; gradient in ``a`` alone."""
        a, b = checked("a", a, (None, None, 3)), checked("b", b, (None, None, 3))
        return _Perceptual.apply(a.contiguous(), b.detach().contiguous(), self.scale, self.packed)


def transformed(kernel: Tensor) -> Tensor:
    """(out, in, k, k) for the products between Winograd's transforms: (positions, out / 16, in, 16)."""
    out, inside, taps, _ = kernel.shape
    products = torch.einsum("ia,ocab,jb->ijoc", _POINTS[taps], kernel, _POINTS[taps])
    return products.reshape(-1, out // _LANES, _LANES, inside).transpose(2, 3)


def _of_blocks(kernel: Tensor) -> Tensor:
    """11x11 with stride 4 on pixels as 3x3 with stride 1 on blocks of 4x4, whose channels are (row, column, colour)."""
    out, colours, side, _ = kernel.shape
    wide = torch.nn.functional.pad(kernel, (0, 3 * _BLOCK - side) * 2)
    split = wide.reshape(out, colours, 3, _BLOCK, 3, _BLOCK)  # out, colour, block row, row, block column, column
    return split.permute(0, 3, 5, 1, 2, 4).reshape(out, _BLOCK * _BLOCK * colours, 3, 3)
