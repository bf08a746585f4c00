"""Attention of many points to a few tokens and the perceptron behind it, in one pass; differentiable.

With T tokens and H heads, query and output projections can be folded into the keys and values, so that attention is two
products with a matrix of H T columns (see ``avatar.network.Attention.folded``); the perceptron's first layer and the
second layer of an encoder before it fold in as well. What is left:

    h = silu(encode x)                            or h = x without an encoder
    w = softmax over the tokens of each head (score h)
    out = last silu(second silu(direct h + value w))

The compiled kernel takes a few points at a time through all of it, so that nothing wide is ever written to memory; for
a backward pass it keeps the values before each nonlinearity. Gradients of weights are summed in a fixed order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from splatalk.kernels import compiled, native
from splatalk.kernels.checks import checked


class AttentionMlp(NamedTuple):
    """Weights, each (rows, columns) as in ``torch.nn.functional.linear``.

    Args:
        heads: H, which divides S = H T.
        score, score_bias: (S, C), (S,); row h T + t is token t of head h.
        direct, direct_bias: (D, C), (D,).
        value: (D, S).
        second, second_bias: (E, D), (E,).
        last, last_bias: (O, E), (O,).
        encode, encode_bias: (C, I), (C,), or None when the input is h already.
    """

    heads: int
    score: Tensor
    score_bias: Tensor
    direct: Tensor
    direct_bias: Tensor
    value: Tensor
    second: Tensor
    second_bias: Tensor
    last: Tensor
    last_bias: Tensor
    encode: Tensor | None = None
    encode_bias: Tensor | None = None


_Sizes = tuple[bool, int, int, int, int, int, int, int]
"""Encoder or not, inputs, width, heads, tokens, hidden, second, outputs: as the compiled kernel takes them."""


class _AttentionMlp(torch.autograd.Function):
    """The graph node. ``packed``: weights one behind the other. ``keep``: whether a backward pass will follow."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, packed: Tensor, sizes: _Sizes, keep: bool) -> Tensor:
        points, weights = x.detach().numpy(), packed.detach().numpy()
        out = torch.empty(x.shape[0], sizes[-1])
        kept = torch.empty(compiled().attention_mlp_kept(sizes, weights, x.shape[0])) if keep else None
        compiled().attention_mlp_forward(
            sizes, weights, points, out.numpy(), None if kept is None else kept.numpy(), torch.get_num_threads()
        )
        ctx.save_for_backward(x, packed)
        ctx.kept, ctx.sizes = kept, sizes
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor):
        x, packed = ctx.saved_tensors
        d_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        d_packed = torch.empty_like(packed)
        compiled().attention_mlp_backward(
            ctx.sizes, packed.detach().numpy(), x.detach().numpy(), ctx.kept.numpy(), d_out.contiguous().numpy(),
            None if d_x is None else d_x.numpy(), d_packed.numpy(), torch.get_num_threads(),
        )  # fmt: skip
        return d_x, d_packed, None, None


def attention_mlp(x: Tensor, net: AttentionMlp) -> Tensor:
    """Points through the network.

    Args:
        x: (N, I), or (N, C) without an encoder.

    Returns:
        (N, O).

    Raises:
        ValueError: wrong shapes, types or devices.
    """
    sizes = _sizes(x, net)
    if native() is None or x.device.type != "cpu":
        return attention_mlp_reference(x, net)
    packed = torch.cat([w.reshape(-1) for w in _in_order(net, sizes)])
    x = checked("x", x, (None, sizes[1]))
    return _AttentionMlp.apply(x, packed, sizes, torch.is_grad_enabled() and (x.requires_grad or packed.requires_grad))


def attention_mlp_reference(x: Tensor, net: AttentionMlp) -> Tensor:
    """`attention_mlp` in plain torch, in any floating-point type on any device."""
    h = x if net.encode is None else F.silu(F.linear(x, net.encode, net.encode_bias))
    score = F.linear(h, net.score, net.score_bias)
    weight = score.view(x.shape[0], net.heads, net.score.shape[0] // net.heads).softmax(-1).flatten(1)
    hidden = F.silu(F.linear(h, net.direct, net.direct_bias) + weight @ net.value.T)
    return F.linear(F.silu(F.linear(hidden, net.second, net.second_bias)), net.last, net.last_bias)


def _sizes(x: Tensor, net: AttentionMlp) -> _Sizes:
    for name, weight in net._asdict().items():
        if isinstance(weight, Tensor) and weight.ndim != (1 if name.endswith("bias") else 2):
            raise ValueError(f"{name} has {weight.ndim} axes")
    if x.ndim != 2:
        raise ValueError(f"x must have shape (any, any), got {tuple(x.shape)}")
    scores, width = net.score.shape
    if net.heads < 1 or scores % net.heads or scores == 0:
        raise ValueError(f"{scores} rows of score do not divide among {net.heads} heads")
    hidden, second, outputs = net.direct.shape[0], net.second.shape[0], net.last.shape[0]
    return net.encode is not None, x.shape[1], width, net.heads, scores // net.heads, hidden, second, outputs


def _in_order(net: AttentionMlp, sizes: _Sizes) -> list[Tensor]:
    """The weights, checked, in the order in which they are packed."""
    encoded, inputs, width, heads, tokens, hidden, second, outputs = sizes
    scores = heads * tokens
    shapes: dict[str, tuple[int, ...]] = {"encode": (width, inputs), "encode_bias": (width,)} if encoded else {}
    shapes |= {"score": (scores, width), "score_bias": (scores,), "direct": (hidden, width), "direct_bias": (hidden,)}
    shapes |= {"value": (hidden, scores), "second": (second, hidden), "second_bias": (second,)}
    shapes |= {"last": (outputs, second), "last_bias": (outputs,)}
    return [checked(name, getattr(net, name), shape) for name, shape in shapes.items()]
