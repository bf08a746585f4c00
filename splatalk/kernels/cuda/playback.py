"""Playback on CUDA: what drives one frame in, Gaussians posed and projected out, in two launches and without waiting.

``avatar.playback`` prepares an avatar for it and has the specification: the plain torch twin of these kernels is the
avatar itself (`Avatar.offsets` and `Avatar.splats`), then `raster_reference.project_reference`.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from splatalk.kernels.cuda import address, extension, stream_of

DIM = 64
"""Width of tokens and features that the kernels are written for."""
HEADS = (1, 2, 4)
MAX_TOKENS = 32
STRIP = 64
"""Moving Gaussians that one block does; their arrays are padded to a multiple of it."""
RAW = 16
"""Decoder outputs, padded: 13 are used."""
HEADER = 1 + 24 + 8 + 12 + 4
"""Numbers before the conditioning in a frame's input."""
LANDMARKS = 478
_SCREEN_FLOATS = 16


@dataclasses.dataclass
class TokenWeights:
    """What turns a frame's input into keys, values and a face surface. Float32, matrices input-major (in, out).

    Args:
        embed1, bias1: (5, inputs, 64) and (5, 64), first layer of the five tokens made of conditioning.
        embed2, bias2: (5, 64, 64) and (5, 64), second layer.
        constant: (2, 64) null token, and the token that stands for no speech.
        fold, fold_bias: (64, 64 + 64 heads) and its bias: token to key in units of log2 e, then to each head's value.
        rig, rig_offset: (inputs, 1434) and (1434,), conditioning to the displacement of 478 landmarks, metres.
    """

    embed1: Tensor
    bias1: Tensor
    embed2: Tensor
    bias2: Tensor
    constant: Tensor
    fold: Tensor
    fold_bias: Tensor
    rig: Tensor
    rig_offset: Tensor


@dataclasses.dataclass
class CanonicalArrays:
    """N canonical Gaussians, the M moving ones first. Float32 unless said; padding rows are zero.

    Args:
        order: (N,) int32, the avatar's row of each.
        means (N, 3), quats (N, 4), log_scales (N, 3), opacity_logits (N,), colors (N, K, 3).
        bone: (N,) weight of the head bone, 0..1.
        queries: (strips, 64, STRIP), query of each moving Gaussian.
        hidden: (strips * STRIP, 64), first layer of the decoder before the attention's part and the activation.
        corners: (M, 3) int32 landmarks; corner_weights: (M, 3).
        middle, middle_bias: (64, 64) and (64,), second layer of the decoder.
        last, last_bias: (64, RAW) and (RAW,), third layer, in metres, radians, log-scale, logit, SH colour.
    """

    order: Tensor
    means: Tensor
    quats: Tensor
    log_scales: Tensor
    opacity_logits: Tensor
    colors: Tensor
    bone: Tensor
    queries: Tensor
    hidden: Tensor
    corners: Tensor
    corner_weights: Tensor
    middle: Tensor
    middle_bias: Tensor
    last: Tensor
    last_bias: Tensor


class Playback:
    """The device memory of one avatar's playback and the launches on it. Nothing is allocated after construction.

    Args:
        tokens, gaussians: prepared avatar, on the device to play on (on the CPU: through the host shim).
        speech_tokens: T, tokens of the sound.

    Attributes:
        frame: (HEADER + inputs + T * 64,) input of the next frame, see `frame_header`.
        screen: (N, 16) float32, memory of the projected Gaussians; depths: (N,) metres.
    """

    def __init__(self, tokens: TokenWeights, gaussians: CanonicalArrays, speech_tokens: int) -> None:
        device = gaussians.means.device
        inputs, heads = tokens.embed1.shape[1], tokens.fold.shape[1] // DIM - 1
        capacity = 6 + max(speech_tokens, 1)
        if tokens.fold.shape[0] != DIM or heads not in HEADS or capacity > MAX_TOKENS:
            raise ValueError(f"playback is written for width {DIM}, 1, 2 or 4 heads and {MAX_TOKENS} tokens")
        self._kept = (_checked(tokens, device), _checked(gaussians, device))
        self._kernels = extension(device)
        self.count = gaussians.means.shape[0]
        moving, sh = gaussians.corners.shape[0], gaussians.colors.shape[1]
        self._model = self._kernels.TokenModel(inputs, speech_tokens, heads, self._kept[0])
        self._gaussians = self._kernels.Canonical(self.count, moving, sh, self._kept[1])
        self._tensors = (tokens, gaussians)  # the kernels know them by address only
        self.frame = torch.zeros(HEADER + inputs + speech_tokens * DIM, device=device)
        self._keys = torch.zeros(capacity, DIM, device=device)
        self._values = torch.zeros(heads, capacity, DIM, device=device)
        self._surface = torch.zeros(LANDMARKS, 3, device=device)
        self.screen = torch.zeros(self.count, _SCREEN_FLOATS, device=device)
        self.depths = torch.zeros(self.count, device=device)

    def project(self, width: int, height: int) -> None:
        """Fill ``screen`` and ``depths`` from ``frame`` on the current stream."""
        self._run(width, height, address(self.screen), address(self.depths), ())

    def posed(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Means (N, 3), quats (N, 4), scales (N, 3), opacities (N,), SH (N, K, 3) in the world, the avatar's order."""
        g = self._tensors[1]
        like = (g.means, g.quats, g.log_scales, g.opacity_logits, g.colors)
        means, quats, scales, opacities, sh = (torch.empty_like(t) for t in like)
        self._run(1, 1, 0, 0, tuple(address(t) for t in (means, quats, scales, opacities, sh)))
        return means, quats, scales, opacities, sh

    def _run(self, width: int, height: int, screen: int, depths: int, splats: tuple[int, ...]) -> None:
        frame = (address(self.frame), address(self._keys), address(self._values), address(self._surface))
        stream = stream_of(self.frame)
        self._kernels.encode_frame(self._model, *frame, stream)
        self._kernels.pose_frame(self._model, self._gaussians, *frame, width, height, screen, depths, splats, stream)


def frame_header(
    has_speech: bool, head: np.ndarray, torso: np.ndarray, head_quat: np.ndarray, torso_quat: np.ndarray,
    world_to_camera: np.ndarray, intrinsics: tuple[float, float, float, float],
) -> np.ndarray:  # fmt: skip
    """The first HEADER numbers of a frame's input.

    Args:
        has_speech: whether the sound drives this frame.
        head, torso: (4, 4) canonical to world.
        head_quat, torso_quat: (4,) their rotations, wxyz, in the same half of the sphere.
        world_to_camera: (4, 4).
        intrinsics: fx, fy, cx, cy, pixels.
    """
    parts = (
        [float(has_speech)], head[:3].ravel(), torso[:3].ravel(), head_quat, torso_quat,
        world_to_camera[:3, :3].ravel(), world_to_camera[:3, 3], intrinsics,
    )  # fmt: skip
    return np.concatenate([np.asarray(part, dtype=np.float32) for part in parts])


def bytes_of(image: Tensor, out: Tensor) -> None:
    """(H, W, 3) 0..1 float32 into (H, W, 3) uint8, rounded, on the current stream."""
    extension(image.device).to_bytes(address(image), image.numel(), address(out), stream_of(image))


def _checked(arrays: TokenWeights | CanonicalArrays, device: torch.device) -> dict[str, int]:
    """Addresses by name.

    Raises:
        ValueError: an array is not contiguous float32 (int32 for indices) on ``device``.
    """
    addresses = {}
    for field in dataclasses.fields(arrays):
        value = getattr(arrays, field.name)
        kind = torch.int32 if field.name in ("order", "corners") else torch.float32
        if value.device != device or value.dtype != kind or not value.is_contiguous():
            raise ValueError(f"{field.name} must be contiguous {kind} on {device}")
        addresses[field.name] = address(value)
    return addresses
