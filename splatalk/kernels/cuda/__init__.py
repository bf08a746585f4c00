"""splatalk's own CUDA kernels.

Two modules are compiled from the same sources: ``_cuda`` by nvcc, and ``_cuda_host``, which runs every kernel on the
CPU, thread by thread (cuda_ext/cuda/host_shim.h), for tests on machines without a GPU. Functions here take tensors on
either device and hand addresses to the module that belongs to it. ``_cuda_host`` is thousands of times slower than a
GPU: nothing but tests uses it.
"""

from __future__ import annotations

import functools
import importlib
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

__all__ = ["address", "architectures", "build_problem", "extension", "problem", "stream_of"]


@functools.lru_cache(maxsize=2)
def _load(name: str) -> tuple[ModuleType | None, str | None]:
    try:
        return importlib.import_module(f"splatalk.kernels.{name}"), None
    except ModuleNotFoundError:
        return None, "not built: no working nvcc was found when splatalk was installed"
    except ImportError as error:
        return None, f"built, but this machine cannot load them: {error}"


def architectures() -> str | None:
    """Compute capabilities that the CUDA kernels were built for, such as ``80 90``; None when they were not built."""
    module = _load("_cuda")[0]
    return None if module is None else str(module.architectures)


def build_problem() -> str | None:
    """Why there is no nvcc-built module; None when there is one."""
    return _load("_cuda")[1]


@functools.lru_cache(maxsize=1)
def problem() -> str | None:
    """Why the CUDA kernels cannot run on a GPU here; None when they can."""
    module, missing = _load("_cuda")
    if module is None:
        return missing
    trouble: str = module.device_problem()
    if trouble:
        return trouble
    return None if torch.cuda.is_available() else "torch was built without CUDA"


def extension(device: torch.device) -> Any:
    """The compiled module whose kernels read memory of ``device``.

    Raises:
        RuntimeError: it was not built, or the device is neither a GPU nor the CPU.
    """
    if device.type not in ("cuda", "cpu"):
        raise RuntimeError(f"the CUDA kernels run on cuda tensors, and on cpu tensors in tests, not on {device}")
    module, missing = _load("_cuda" if device.type == "cuda" else "_cuda_host")
    if module is None:
        raise RuntimeError(f"the CUDA kernels are missing: {missing}")
    return module


def stream_of(tensor: Tensor) -> int:
    """The current CUDA stream of the tensor's device as the compiled modules take it; 0 on the CPU."""
    return torch.cuda.current_stream(tensor.device).cuda_stream if tensor.device.type == "cuda" else 0


def address(tensor: Tensor | None) -> int:
    """Where a contiguous tensor's numbers are; 0 for None."""
    if tensor is None:
        return 0
    if not tensor.is_contiguous():
        raise ValueError(f"kernels read contiguous memory, got strides {tensor.stride()}")
    return tensor.data_ptr()
