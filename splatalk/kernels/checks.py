"""Argument checks shared by the kernels: clear errors for wrong input, silent conversion of harmless differences."""

from __future__ import annotations

import torch
from torch import Tensor

_CPU = torch.device("cpu")


def checked(name: str, value: Tensor, shape: tuple[int | None, ...], device: torch.device | None = None) -> Tensor:
    """``value`` in contiguous float32; gradients flow through the conversion.

    Args:
        name: of the argument, for the message.
        shape: expected sizes, None for any.
        device: where it must be; None is the CPU.

    Raises:
        ValueError: not a real floating-point tensor of that shape on that device.
    """
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} must be a torch tensor, got {type(value).__name__}")
    if not value.is_floating_point():
        raise ValueError(f"{name} must hold floating-point numbers, got {value.dtype}")
    if value.device != (device or _CPU):
        raise ValueError(f"{name} must be on {_told(device or _CPU)}, it is on {_told(value.device)}")
    if value.ndim != len(shape) or any(want is not None and want != got for want, got in zip(shape, value.shape)):
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} must have shape ({wanted}), got {tuple(value.shape)}")
    if value.dtype != torch.float32:
        value = value.to(torch.float32)
    return value if value.is_contiguous() else value.contiguous()


def where(value: object) -> torch.device | None:
    """The device of a tensor; None for anything else, which ``checked`` refuses."""
    return value.device if isinstance(value, Tensor) else None


def _told(device: torch.device) -> str:
    return "the CPU" if device == _CPU else str(device)


def same_length(**tensors: Tensor) -> int:
    """The common length of the first axis.

    Raises:
        ValueError: they differ.
    """
    lengths = {name: tensor.shape[0] for name, tensor in tensors.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"arrays differ in length: {', '.join(f'{k} {v}' for k, v in lengths.items())}")
    return next(iter(lengths.values()))
