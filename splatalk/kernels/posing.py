"""From canonical Gaussians to the posed ones of a frame, in one pass; differentiable.

Offsets move, turn, scale and recolour the dynamic Gaussians, the face surface carries them, two bones take all of them
into the world, and log-scales and logits become scales and opacities. The mathematics is in the twin,
`pose_reference`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from splatalk.kernels import compiled, native
from splatalk.kernels.bones import Bone, blend_bones, quat_multiply
from splatalk.kernels.checks import checked, same_length, where

OFFSETS = 13
"""Numbers that move a Gaussian: means 3, rotation 3, log_scales 3, opacity_logit 1, color 3."""


class Canonical(NamedTuple):
    """N Gaussians of which M are dynamic.

    Args:
        means: (N, 3) metres.
        quats: (N, 4) wxyz.
        log_scales: (N, 3).
        opacity_logits: (N,).
        colors: (N, 3) constant SH coefficient.
        bone_logits: (N,) logit of the first bone's weight.
        dynamic: (N,) bool.
        corners: (N, 3) int64, vertices of the surface that carry a Gaussian.
        corner_weights: (N, 3).
    """

    means: Tensor
    quats: Tensor
    log_scales: Tensor
    opacity_logits: Tensor
    colors: Tensor
    bone_logits: Tensor
    dynamic: Tensor
    corners: Tensor
    corner_weights: Tensor


Posed = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""means (N, 3), quats (N, 4), scales (N, 3), opacities (N,), colors (N, 3)."""


class _Pose(torch.autograd.Function):
    """The graph node. ``fixed`` = (dynamic, corners, corner_weights, surface)."""

    @staticmethod
    def forward(ctx: Any, means, quats, log_scales, opacity_logits, colors, bone_logits, offsets, head, torso, fixed):
        learned = [means, quats, log_scales, opacity_logits, colors, bone_logits]
        ctx.bones = Bone.pair(head.detach().numpy(), torso.detach().numpy())
        ctx.fixed = fixed
        n = means.shape[0]
        posed = (torch.empty(n, 3), torch.empty(n, 4), torch.empty(n, 3), torch.empty(n), torch.empty(n, 3))
        compiled().pose(*_arguments(learned, offsets, ctx), [p.numpy() for p in posed], torch.get_num_threads())
        ctx.save_for_backward(*learned, offsets, posed[2], posed[3])
        return posed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *d_posed: Tensor):
        *learned, offsets, scales, opacities = ctx.saved_tensors
        gradients = [torch.empty_like(t) for t in learned]
        d_offsets = None if offsets is None else torch.empty_like(offsets)
        d_bones = np.empty((2, 16), np.float32)
        compiled().pose_backward(
            *_arguments(learned, offsets, ctx), scales.numpy(), opacities.numpy(),
            [d.contiguous().numpy() for d in d_posed], [g.numpy() for g in gradients],
            None if d_offsets is None else d_offsets.numpy(), d_bones, torch.get_num_threads(),
        )  # fmt: skip
        d_poses = [torch.from_numpy(bone.pose_gradient(d)) for bone, d in zip(ctx.bones, d_bones, strict=True)]
        return (*gradients, d_offsets, *d_poses, None)


def _arguments(learned: list[Tensor], offsets: Tensor | None, ctx: Any) -> list[Any]:
    """What both directions hand to the compiled kernel first."""
    dynamic, corners, corner_weights, surface = (None if t is None else t.numpy() for t in ctx.fixed)
    return [
        [t.detach().numpy() for t in learned], dynamic, None if offsets is None else offsets.detach().numpy(),
        corners, corner_weights, surface, np.stack([bone.numbers for bone in ctx.bones]),
    ]  # fmt: skip


def pose(g: Canonical, offsets: Tensor | None, surface: Tensor | None, head_pose: Tensor, torso_pose: Tensor) -> Posed:
    """The Gaussians of one frame in the world.

    Differentiable in the learned parts of ``g``, in ``offsets`` and in the two poses. A Gaussian that is not finite
    stays so and changes no other.

    Args:
        offsets: (M, 13), see `OFFSETS`, metres, radians, and units of the parameters; None leaves them out.
        surface: (V, 3) displacement of the surface's vertices, metres, no gradient; None leaves it out.
        head_pose, torso_pose: (4, 4) canonical to world of the first and the second bone, rigid, on the CPU.

    Raises:
        ValueError: wrong shapes, types or devices, or a corner outside the surface.
    """
    n = same_length(**g._asdict())
    shapes = {"means": (n, 3), "quats": (n, 4), "log_scales": (n, 3), "opacity_logits": (n,), "colors": (n, 3)}
    shapes |= {"bone_logits": (n,)}
    device = where(g.means)
    learned = [checked(name, getattr(g, name), shape, device) for name, shape in shapes.items()]
    weights = checked("corner_weights", g.corner_weights, (n, 3), device).detach()
    if offsets is not None:
        offsets = checked("offsets", offsets, (int(g.dynamic.sum()), OFFSETS), device)
    if surface is not None:
        surface = checked("surface", surface, (None, 3), device).detach()
    poses = [checked("head_pose", head_pose, (4, 4)), checked("torso_pose", torso_pose, (4, 4))]
    dynamic, corners = g.dynamic.bool().contiguous(), g.corners.long().contiguous()
    if native() is None or g.means.device.type != "cpu":
        fixed = g._replace(**dict(zip(shapes, learned)), dynamic=dynamic, corners=corners, corner_weights=weights)
        return pose_reference(fixed, offsets, surface, *poses)
    return _Pose.apply(*learned, offsets, *poses, (dynamic, corners, weights, surface))


def pose_reference(
    g: Canonical, offsets: Tensor | None, surface: Tensor | None, head_pose: Tensor, torso_pose: Tensor
) -> Posed:
    """`pose` in plain torch, in any floating-point type on any device."""
    means, quats, log_scales, logits, colors = g.means, g.quats, g.log_scales, g.opacity_logits, g.colors
    rows = torch.nonzero(g.dynamic)[:, 0]
    if surface is not None:
        means = means.index_add(0, rows, carried(g.corners[rows], g.corner_weights[rows], surface))
    if offsets is not None:
        move, rotation, grow, opacity, paint = offsets.split((3, 3, 3, 1, 3), -1)
        turn = torch.cat((torch.ones_like(opacity), 0.5 * rotation), -1)
        means = means.index_add(0, rows, move)
        quats = quats.index_copy(0, rows, quat_multiply(turn, quats[rows]))
        log_scales = log_scales.index_add(0, rows, grow)
        logits = logits.index_add(0, rows, opacity[:, 0])
        colors = colors.index_add(0, rows, paint)
    means, quats = blend_bones(means, quats, g.bone_logits.sigmoid(), head_pose, torso_pose)
    return means, quats, log_scales.exp(), logits.sigmoid(), colors


def carried(corners: Tensor, weights: Tensor, surface: Tensor) -> Tensor:
    """Displacement (M, 3) of points by that of a surface (V, 3): of three vertices each, corners (M, 3), by weight."""
    return (surface[corners] * weights[..., None]).sum(1)
