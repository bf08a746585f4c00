"""A GPU that is none: tensors that call themselves ``cuda:0`` and compute on the CPU.

Inside ``pretending()`` everything that is made on or moved to a CUDA device becomes a `Pretend`. An operation that
mixes one with an ordinary tensor fails as it would on a GPU, and so does ``numpy()``. Not shown: speed, streams, and
kernels that the test does not ferry to the CPU.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
_CROSSES_DEVICES = {"aten.copy_.default"}
_TAKES_CPU_INDICES = {"aten.index.Tensor", "aten.index_put_.default", "aten.index_put.default"}


class DeviceMismatch(RuntimeError):
    pass


class Pretend(torch.Tensor):
    """``inner`` is the ordinary tensor that holds the numbers."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> Pretend:
        made = torch.Tensor._make_wrapper_subclass(
            cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype
        )
        made.inner = inner
        return made

    @property
    def device(self) -> torch.device:
        return GPU

    @property
    def is_cuda(self) -> bool:
        return True

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def __array__(self, *_: Any, **__: Any) -> Any:
        return self.numpy()

    def tolist(self) -> Any:
        return self.inner.tolist()

    def data_ptr(self) -> int:
        return self.inner.data_ptr()

    def __repr__(self, **_: Any) -> str:
        return f"Pretend({tuple(self.shape)})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func)
        for leaf in tree_leaves((args, kwargs)):
            foreign = isinstance(leaf, Tensor) and not isinstance(leaf, Pretend) and leaf.ndim > 0
            index = name in _TAKES_CPU_INDICES and foreign and not leaf.is_floating_point()
            if foreign and not index and name not in _CROSSES_DEVICES:
                raise DeviceMismatch(f"{name} mixes cuda:0 with a tensor on the CPU")
        out = func(*tree_map(_inner, args), **tree_map(_inner, kwargs or {}))
        if name in _CROSSES_DEVICES and not isinstance(args[0], Pretend):
            return args[0]
        return tree_map(lambda t: Pretend(t) if isinstance(t, Tensor) else t, out)


def _inner(value: Any) -> Any:
    return value.inner if isinstance(value, Pretend) else value


class Ferry(torch.autograd.Function):
    """A copy on the other device."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, device: torch.device) -> Tensor:
        ctx.home = x.device
        copy = _inner(x).detach().clone()
        return Pretend(copy) if device.type == "cuda" else copy

    @staticmethod
    def backward(ctx: Any, d: Tensor):
        return (d if d.device == ctx.home else Ferry.apply(d, ctx.home)), None


def moved(x: Tensor, device: torch.device) -> Tensor:
    return x if x.device.type == device.type else Ferry.apply(x, device)


class _Mode(TorchFunctionMode):
    """Catches what makes or moves tensors before torch would ask for a driver."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.Tensor.to, torch.Tensor.cpu, torch.Tensor.cuda):
            return _to(func, *args, **kwargs)
        if func is torch.Tensor.new_tensor and isinstance(args[0], Pretend):
            return Pretend(torch.tensor(args[1], dtype=args[0].dtype))
        device = kwargs.get("device")
        if device is None or torch.device(device).type != "cuda" or func is torch.Tensor.device.__get__:
            return func(*args, **kwargs)
        made = func(*args, **{**kwargs, "device": None if isinstance(args[0], Pretend) else CPU})
        return moved(made, GPU)


def _to(func: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    device, dtype = kwargs.get("device"), kwargs.get("dtype")
    for arg in args:
        if isinstance(arg, Tensor):
            device, dtype = arg.device, arg.dtype
        elif isinstance(arg, torch.dtype):
            dtype = arg
        elif isinstance(arg, str | torch.device):
            device = arg
    if func is not torch.Tensor.to:
        device = "cpu" if func is torch.Tensor.cpu else GPU
    out = x if device is None else moved(x, torch.device(device))
    out = out if dtype is None else out.type(dtype)
    return out.clone() if kwargs.get("copy") and out is x else out


@contextlib.contextmanager
def pretending() -> Iterator[torch.device]:
    """Yields the device that is none."""
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # a Parameter cannot become a Pretend in place
    try:
        with _Mode():
            yield GPU
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)
