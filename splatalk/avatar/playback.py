"""An avatar prepared for fused playback: what does not change over time is computed once, what does is one short array.

With x the feature of a Gaussian, the network's first decoder layer sees its attention and residual only through
    W1 (x + Wo attention(x) + bo) + b1 = [W1 (x + bo) + b1] + sum over heads and tokens of weight * (W1 Wo_h value),
so the bracket is kept per Gaussian, and W1 Wo_h is folded into the projection of the values. Queries are kept as well.
Both are exact.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from splatalk.avatar.controls import Controls
from splatalk.avatar.gaussians import Gaussians
from splatalk.avatar.model import GAZE_SCALE, Avatar, Tokens
from splatalk.avatar.network import N_UPPER, Attention
from splatalk.avatar.rig import quat_from_matrix
from splatalk.kernels.cuda.playback import (
    DIM,
    HEADS,
    MAX_TOKENS,
    RAW,
    STRIP,
    CanonicalArrays,
    Playback,
    TokenWeights,
    frame_header,
)
from splatalk.render.camera import Camera

_EYES, _POSE = 6, 9


def fusible(avatar: Avatar) -> bool:
    """Whether the kernels cover this avatar's network: width 64, ``mha``, ``mlp`` and not too many tokens."""
    config = avatar.deformation.config
    return (
        config.dim == DIM
        and config.attention == "mha"
        and config.decoder == "mlp"
        and config.heads in HEADS
        and speech_tokens(avatar) + 6 <= MAX_TOKENS
    )


def speech_tokens(avatar: Avatar) -> int:
    """T, tokens that the sound gives; 0 for a silent avatar."""
    return 0 if avatar.audio_encoder is None else avatar.audio_encoder.config.tokens


def prepare(avatar: Avatar, device: torch.device) -> Playback:
    """Everything that stays the same while an avatar plays, on ``device``.

    Raises:
        ValueError: the avatar is not ``fusible``.
    """
    if not fusible(avatar):
        raise ValueError("fused playback does not cover this network")
    with torch.no_grad():
        return Playback(
            _moved(token_weights(avatar), device), _moved(canonical_arrays(avatar), device), speech_tokens(avatar)
        )


def frame_input(avatar: Avatar, tokens: Tokens, controls: Controls, camera: Camera) -> Tensor:
    """(HEADER + inputs [+ T * 64],) float32 on the CPU: the changing part of a frame. Without speech it ends early."""
    head, torso = (np.asarray(pose, dtype=np.float32) for pose in (controls.head_pose, controls.torso_pose))
    q_head, q_torso = (quat_from_matrix(torch.from_numpy(pose[:3, :3])).numpy() for pose in (head, torso))
    if q_head @ q_torso < 0:
        q_torso = -q_torso
    header = frame_header(
        tokens.speech is not None, head, torso, q_head, q_torso, camera.world_to_camera,
        (camera.fx, camera.fy, camera.cx, camera.cy),
    )  # fmt: skip
    parts = [torch.from_numpy(header), tokens.mouth, tokens.upper, tokens.eyes, tokens.pose]
    if tokens.speech is not None:
        parts.append(tokens.speech.flatten())
    return torch.cat([part.detach().float().cpu() for part in parts])


def token_weights(avatar: Avatar) -> TokenWeights:
    encoder, attention = avatar.deformation.tokens, avatar.deformation.attention
    assert isinstance(attention, Attention)
    n_mouth = avatar.mouth_basis.n_components
    inputs = n_mouth + N_UPPER + _EYES + _POSE
    places = (
        (encoder.mouth, 0), (encoder.upper, n_mouth), (encoder.eyes, n_mouth + N_UPPER), (encoder.pose, inputs - _POSE)
    )  # fmt: skip
    embed1: list[Tensor] = []
    bias1: list[Tensor] = []
    embed2: list[Tensor] = []
    bias2: list[Tensor] = []
    for module, start in places:
        first, second = _linear_layers(module)
        for block in range(second.out_features // DIM):
            matrix = first.weight.new_zeros(inputs, DIM)
            matrix[start : start + first.in_features] = first.weight.T
            rows = slice(block * DIM, (block + 1) * DIM)
            embed1.append(matrix)
            bias1.append(first.bias)
            embed2.append(second.weight[rows].T)
            bias2.append(second.bias[rows])
    rig = avatar.face_rig
    basis = rig.basis.new_zeros(inputs, rig.basis[0].numel())
    surface = rig.basis.flatten(1)
    basis[: n_mouth + N_UPPER] = surface[: n_mouth + N_UPPER]
    basis[inputs - _POSE - 4 : inputs - _POSE] = surface[n_mouth + N_UPPER :] / GAZE_SCALE
    fold, fold_bias = folded_projection(attention, _linear_layers(avatar.deformation.decoder)[0])
    return TokenWeights(
        torch.stack(embed1), torch.stack(bias1), torch.stack(embed2), torch.stack(bias2),
        torch.cat((encoder.null, encoder.no_speech)), fold, fold_bias, basis, rig.offset.flatten(),
    )  # fmt: skip


def folded_projection(attention: Attention, first: nn.Linear) -> tuple[Tensor, Tensor]:
    """(64, 64 + 64 heads) and bias: token to key in units of log2 e, then W1 Wo_h value of each head."""
    heads, width = attention.heads, DIM // attention.heads
    scale = math.log2(math.e) / math.sqrt(width)
    key, value = attention.key, attention.value
    matrices, biases = [key.weight.double() * scale], [key.bias.double() * scale]
    out = first.weight.double() @ attention.out.weight.double()
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        matrices.append(out[:, part] @ value.weight[part].double())
        biases.append(out[:, part] @ value.bias[part].double())
    return torch.cat(matrices).T, torch.cat(biases)


def canonical_arrays(avatar: Avatar) -> CanonicalArrays:
    g, network = avatar.gaussians, avatar.deformation
    attention = network.attention
    assert isinstance(attention, Attention)
    first, middle, last = _linear_layers(network.decoder)
    moving = torch.nonzero(g.dynamic)[:, 0]
    order = torch.cat((moving, torch.nonzero(~g.dynamic)[:, 0]))
    features = network.features(g.means[moving]).double()
    queries = features @ attention.query.weight.double().T + attention.query.bias.double()
    hidden = (features + attention.out.bias.double()) @ first.weight.double().T + first.bias.double()
    strips = max(-(-len(moving) // STRIP), 1)
    padding = (0, 0, 0, strips * STRIP - len(moving))
    queries = nn.functional.pad(queries, padding).view(strips, STRIP, DIM).transpose(1, 2)
    units = network.units
    return CanonicalArrays(
        order=order.int(), **_rows(g, order), queries=queries, hidden=nn.functional.pad(hidden, padding),
        corners=g.corners[moving].int(), corner_weights=g.corner_weights[moving],
        middle=middle.weight.T, middle_bias=middle.bias,
        last=nn.functional.pad((last.weight * units[:, None]).T, (0, RAW - len(units))),
        last_bias=nn.functional.pad(last.bias * units, (0, RAW - len(units))),
    )  # fmt: skip


def _linear_layers(module: nn.Module) -> list[nn.Linear]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Linear)]


def _rows(g: Gaussians, order: Tensor) -> dict[str, Tensor]:
    return {
        "means": g.means[order], "quats": g.quats[order], "log_scales": g.log_scales[order],
        "opacity_logits": g.opacity_logits[order], "colors": g.sh[order], "bone": g.bone_logits[order].sigmoid(),
    }  # fmt: skip


def _moved(arrays: Any, device: torch.device) -> Any:
    """Contiguous copies on ``device``, floats in single precision."""
    values = {f.name: getattr(arrays, f.name).detach() for f in dataclasses.fields(arrays)}
    values = {k: (v if v.dtype == torch.int32 else v.float()).to(device).contiguous() for k, v in values.items()}
    return type(arrays)(**values)
