"""Argument checks shared by the kernels: clear errors for wrong input, silent conversion of harmless differences."""

from __future__ import annotations

import torch
from torch import Tensor


def checked(name: str, value: Tensor, shape: tuple[int | None, ...]) -> Tensor:
    """``value`` on the CPU in contiguous float32; gradients flow through the conversion.

    Args:
        name: of the argument, for the message.
        shape: expected sizes, None for any.

    Raises:
        ValueError: not a real floating-point tensor of that shape on the CPU.
    """
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} must be a torch tensor, got {type(value).__name__}")
    if not value.is_floating_point():
        raise ValueError(f"{name} must hold floating-point numbers, got {value.dtype}")
    if value.device.type != "cpu":
        raise ValueError(f"{name} must be on the CPU, it is on {value.device}")
    if value.ndim != len(shape) or any(want is not None and want != got for want, got in zip(shape, value.shape)):
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} must have shape ({wanted}), got {tuple(value.shape)}")
    if value.dtype != torch.float32:
        value = value.to(torch.float32)
    return value if value.is_contiguous() else value.contiguous()


def same_length(**tensors: Tensor) -> int:
    """The common length of the first axis.

    Raises:
        ValueError: they differ.
    """
    lengths = {name: tensor.shape[0] for name, tensor in tensors.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"arrays differ in length: {', '.join(f'{k} {v}' for k, v in lengths.items())}")
    return next(iter(lengths.values()))
