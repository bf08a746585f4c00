"""Avatars of nobody, with random numbers everywhere, and controls that move all of them: for tests and benchmarks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from splatalk.avatar.audio_encoder import AudioEncoder, AudioEncoderConfig
from splatalk.avatar.controls import Controls
from splatalk.avatar.face_rig import FaceRig
from splatalk.avatar.gaussians import Gaussians
from splatalk.avatar.model import Avatar
from splatalk.avatar.mouth_basis import MouthBasis
from splatalk.avatar.network import Deformation, NetworkConfig
from splatalk.render.camera import Camera

WINDOW, SPEECH_DIM, MOUTH = 17, 60, 12


def person(
    n: int = 300, moving: int = 200, sh: int = 1, speaks: bool = True, scene: list[Tensor] | None = None, **network: Any
) -> Avatar:
    """An avatar whose network moves its Gaussians by millimetres and turns, resizes and recolours them visibly.

    Args:
        moving: how many of the ``n`` Gaussians the network moves.
        sh: coefficients per colour.
        scene: means (n, 3) about the head's origin, quats, scales and opacities in place of a small random cloud.
        network: switches of ``NetworkConfig``.
    """
    r, rand = np.random.default_rng(0), torch.Generator().manual_seed(0)
    normal = lambda *shape: torch.randn(*shape, generator=rand)  # noqa: E731
    dynamic = torch.zeros(n, dtype=torch.bool)
    dynamic[torch.randperm(n, generator=rand)[:moving]] = True
    gaussians = Gaussians(
        0.08 * normal(n, 3), normal(n, 4), 0.5 * normal(n, 3) - 5.0, normal(n), 0.3 * normal(n, sh, 3), 2 * normal(n),
        dynamic, torch.randint(0, 478, (n, 3), generator=rand), torch.rand(n, 3, generator=rand),
    )  # fmt: skip
    if scene is not None:
        means, quats, scales, opacities = (t.detach() for t in scene)
        values = {"means": means, "quats": quats, "log_scales": scales.log(), "opacity_logits": opacities.logit()}
        for name, value in values.items():
            getattr(gaussians, name).data.copy_(value)
    rig = FaceRig(MOUTH + 27)
    rig.basis.copy_(1e-3 * normal(*rig.basis.shape))
    rig.offset.copy_(1e-3 * normal(*rig.offset.shape))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        deformation = Deformation(NetworkConfig(levels=4, log2_table=8, **network))
        for parameter in deformation.decoder[-1].parameters():
            parameter.normal_(std=0.3)
        for parameter in deformation.attention.parameters():
            parameter.mul_(2.0)  # attention that prefers some tokens
        encoder = AudioEncoder(AudioEncoderConfig(WINDOW, SPEECH_DIM, MOUTH)) if speaks else None
        if encoder is not None:
            encoder.weight.normal_(std=0.1)
    zeros = np.zeros((MOUTH, 15), np.float32)
    rest_code = r.normal(size=MOUTH).astype(np.float32)
    basis = MouthBasis(np.arange(5), np.zeros((5, 3), np.float32), zeros, zeros, rest_code)
    rest = np.eye(4)
    rest[2, 3] = 1.0
    avatar = Avatar(
        gaussians, rig, deformation, basis, encoder, torch.zeros(53, MOUTH), Camera(80, 64, 150.0, 155.0, 41.0, 30.0),
        rest, rest.copy(), np.zeros((64, 80, 3), np.uint8), {}, {"fps": 25},
    )  # fmt: skip
    return avatar.eval().requires_grad_(False)


def controls(avatar: Avatar, seed: int = 0, speech: bool = True) -> Controls:
    """Head and torso turned and moved, every curve somewhere."""
    r = np.random.default_rng(seed)
    heard = r.normal(size=(WINDOW, SPEECH_DIM)).astype(np.float32) if speech and avatar.audio_encoder else None
    return Controls(
        _pose(r), _pose(r), r.random(52), 0.1 * r.normal(size=4), heard, r.normal(size=MOUTH).astype(np.float32)
    )


def _pose(r: np.random.Generator) -> np.ndarray:
    axis = 0.2 * r.normal(size=3)
    skew = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    pose = np.eye(4)
    pose[:3, :3] = np.linalg.solve(np.eye(3) - skew / 2, np.eye(3) + skew / 2)  # Cayley: a rotation
    pose[:3, 3] = 0.02 * r.normal(size=3) + [0, 0, 1.0]
    return pose
