"""LPIPS v0.1 on AlexNet features (Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features", eq. 1).

The same numbers as the ``lpips`` package's, without torchvision. Weights come from the asset ``lpips_alex``: a pickle
of nested dictionaries of numpy arrays, which is read without letting it name any code.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from splatalk import assets
from splatalk.errors import AssetError
from splatalk.kernels import native
from splatalk.kernels.perceptual import PerceptualDistance

MIN_SIDE = 35
"""Smallest image side, pixels, that leaves the last layers something to look at."""

# (out, in, kernel, stride, padding, max-pool before it) of AlexNet's five convolutions.
_LAYERS: tuple[tuple[int, int, int, int, int, bool], ...] = (
    (64, 3, 11, 4, 2, False),
    (192, 64, 5, 1, 2, True),
    (384, 192, 3, 1, 1, True),
    (256, 384, 3, 1, 1, False),
    (256, 256, 3, 1, 1, False),
)
# LPIPS centres images in -1..1 by these; folded here into one scale and shift for images in 0..1.
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


class Lpips(nn.Module):
    """Learned perceptual distance between images; 0 for equal ones. Weights are frozen.

    The target's features need no gradient, so a trainer that compares many renders with one target computes them once::

        target = metric.features(patch)                       # under torch.no_grad()
        loss = metric.distance(metric.features(render), target).mean()

    Args:
        weights: file with the weights; None takes the asset ``lpips_alex``.

    Raises:
        AssetError: the file is missing, damaged or holds something else.
    """

    gain: Tensor
    offset: Tensor

    def __init__(self, weights: Path | None = None) -> None:
        super().__init__()
        convolutions, linear = read_weights(weights or assets.fetch("lpips_alex"))
        for i, (kernel, bias) in enumerate(convolutions):
            self.register_buffer(f"kernel{i}", kernel.contiguous(memory_format=torch.channels_last))
            self.register_buffer(f"bias{i}", bias)
            # The squared difference is weighted per channel; its root moves into the features, which saves a pass.
            self.register_buffer(f"root{i}", linear[i].sqrt().view(1, -1, 1, 1))
        self.register_buffer("gain", 2.0 / torch.tensor(_SCALE).view(1, 3, 1, 1))
        self.register_buffer(
            "offset",
            ((-1.0 - torch.tensor(_SHIFT)) / torch.tensor(_SCALE)).view(1, 3, 1, 1),
        )

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Distance of each pair.

        Args:
            a, b: (B, 3, H, W) sRGB in 0..1, H and W at least ``MIN_SIDE``.

        Returns:
            (B,) distances, differentiable in whichever of the two asks for a gradient.
        """
        return self.distance(self.features(a), self.features(b))

    def features(self, images: Tensor) -> list[Tensor]:
        """What ``distance`` compares: five maps (B, C, h, w), unit length over channels, weighted.

        Args:
            images: (B, 3, H, W) sRGB in 0..1.
        """
        if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < MIN_SIDE:
            raise ValueError(f"images must be (B, 3, H, W) with sides of {MIN_SIDE} or more, got {tuple(images.shape)}")
        with torch.set_grad_enabled(torch.is_grad_enabled() and images.requires_grad):
            x = (images * self.gain + self.offset).contiguous(memory_format=torch.channels_last)
            maps = []
            for i, (_, _, _, stride, padding, pooled) in enumerate(_LAYERS):
                if pooled:
                    x = F.max_pool2d(x, 3, 2)
                x = F.relu(
                    F.conv2d(
                        x,
                        getattr(self, f"kernel{i}"),
                        getattr(self, f"bias{i}"),
                        stride,
                        padding,
                    )
                )
                maps.append(_unit(x) * getattr(self, f"root{i}"))
            return maps

    @staticmethod
    def distance(a: list[Tensor], b: list[Tensor]) -> Tensor:
        """(B,) distances from two results of ``features``; that of a single image is compared with all of the other."""
        layers = [(x - y).square().sum(1).mean((1, 2)) for x, y in zip(a, b, strict=True)]
        return torch.stack(layers).sum(0)


class PatchDistance:
    """LPIPS of a drawn patch from a recorded one: compiled on the CPU where that was built, otherwise `Lpips`.

    Args:
        device: where the patches are.

    Raises:
        AssetError: see `Lpips`.
    """

    def __init__(self, device: torch.device) -> None:
        self.metric = Lpips().to(device)
        self.compiled: PerceptualDistance | None = None
        if device.type == "cpu" and native() is not None:
            convolutions, linear = read_weights(assets.fetch("lpips_alex"))
            self.compiled = PerceptualDistance(convolutions, linear, self.metric.gain, self.metric.offset)

    def __call__(self, drawn: Tensor, recorded: Tensor) -> Tensor:
        """() distance of two (H, W, 3) patches in 0..1, differentiable in ``drawn``."""
        if self.compiled is not None:
            return self.compiled(drawn, recorded)
        a, b = (patch.permute(2, 0, 1)[None] for patch in (drawn, recorded))
        with torch.no_grad():
            wanted = self.metric.features(b)
        return self.metric.distance(self.metric.features(a), wanted).mean()


def _unit(x: Tensor) -> Tensor:
    # The floor keeps the root's gradient finite where every channel is zero (a flat black patch).
    length = x.square().sum(1, keepdim=True).clamp_min(1e-20).sqrt()
    return x / (length + 1e-10)


def read_weights(path: Path) -> tuple[list[tuple[Tensor, Tensor]], list[Tensor]]:
    """AlexNet's convolutions and LPIPS's linear weights from the asset's file.

    Returns:
        Five (kernel (out, in, k, k), bias (out,)) pairs, and five non-negative channel weights (out,).

    Raises:
        AssetError: the file cannot be read as that.
    """
    try:
        with path.open("rb") as stream:
            tree = _ArraysOnly(stream).load()
        convolutions, linear = [], []
        for i, (out, inside, size, *_) in enumerate(_LAYERS):
            layer = tree["AlexNet_0"][f"Conv_{i}"]
            kernel = _shaped(layer["kernel"], (size, size, inside, out)).permute(3, 2, 0, 1)
            convolutions.append((kernel, _shaped(layer["bias"], (out,))))
            linear.append(_shaped(tree[f"NetLinLayer_{i}"]["Conv_0"]["kernel"], (1, 1, out, 1)).reshape(out))
        if min(float(w.min()) for w in linear) < 0:
            raise ValueError("a channel weight is negative")
        return convolutions, linear
    except Exception as e:  # a damaged pickle can raise anything
        raise AssetError(
            f"The LPIPS weights in {path} cannot be read ({e}).",
            "Delete that file and run again to fetch it anew.",
        ) from e


def _shaped(value: Any, shape: tuple[int, ...]) -> Tensor:
    array = value.array if isinstance(value, _Array) else None
    if array is None or array.shape != shape:
        raise ValueError(f"expected an array of shape {shape}")
    return torch.from_numpy(np.array(array, dtype=np.float32))


class _Type:
    """Stands in for numpy.dtype in the pickle; remembers its name and byte order."""

    def __init__(self, name: str, *_: object) -> None:
        self.name, self.order = name, "="

    def __setstate__(self, state: tuple) -> None:
        self.order = state[1]

    def to_numpy(self) -> np.dtype:
        if self.name not in ("f2", "f4", "f8") or self.order not in ("<", ">", "="):
            raise ValueError(f"arrays of type {self.order}{self.name} are not expected here")
        return np.dtype(self.order + self.name)


class _Array:
    """Stands in for numpy.ndarray in the pickle; built from its bytes by nothing but ``frombuffer``."""

    array: np.ndarray | None = None

    def __setstate__(self, state: tuple) -> None:
        _, shape, kind, fortran, data = state
        if not isinstance(kind, _Type) or not isinstance(data, bytes):
            raise TypeError("an array is not stored as plain numbers")
        self.array = np.frombuffer(data, kind.to_numpy()).reshape(shape, order="F" if fortran else "C")


def _empty_array(*_: object) -> _Array:
    return _Array()


class _ArraysOnly(pickle.Unpickler):
    """Knows numbers, text, dictionaries and arrays. Any other name is an error: nothing in the pickle can execute."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "numpy" and name in ("ndarray", "dtype"):
            return _Array if name == "ndarray" else _Type
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return _empty_array
        raise pickle.UnpicklingError(f"it names {module}.{name}")
