"""Which implementation draws: what runs on this machine, and the choice between them."""

from __future__ import annotations

import functools
import importlib.util

import torch

from splatalk import kernels
from splatalk.errors import BackendError
from splatalk.kernels import cuda

NAMES = ("torch", "cpu", "gsplat", "cuda")

_HINTS = {
    "cpu": "Install a C++ compiler (GCC 12 or Clang 13, or newer), then reinstall splatalk; or use the torch backend.",
    "gsplat": "Install a CUDA build of torch and `splatalk[gpu]` where there is an NVIDIA GPU; or use the cpu backend.",
    "cuda": "With an NVIDIA GPU: put nvcc (CUDA 12.8 or newer) on the PATH and reinstall splatalk. Else use cpu.",
}


@functools.lru_cache(maxsize=1)
def _gsplat_problem() -> str | None:
    if not torch.cuda.is_available():
        return "no CUDA device, or torch built without CUDA"
    if importlib.util.find_spec("gsplat") is None:
        return "gsplat is not installed"
    return None


def _problem(name: str) -> str | None:
    """Why a backend cannot run here; None when it can."""
    if name == "torch":
        return None
    if name == "cpu":
        return kernels.native_error()
    if name == "gsplat":
        return _gsplat_problem()
    return cuda.problem()


def available() -> dict[str, str]:
    """Each backend with a sentence on whether and how it runs here; usable ones start with ``ready``."""
    status = {}
    for name in NAMES:
        problem = _problem(name)
        status[name] = f"unavailable: {problem}" if problem else f"ready: {_describe(name)}"
    return status


def _describe(name: str) -> str:
    if name == "cpu":
        module = kernels.native()
        level = module.isa() if module is not None else ""
        return f"compiled kernels, instruction set {level}, {torch.get_num_threads()} threads"
    if name == "gsplat":
        return f"gsplat on {torch.cuda.get_device_name()}"
    if name == "cuda":
        return f"splatalk's own kernels on {torch.cuda.get_device_name()}"
    return "plain torch, the slow reference"


def choose(name: str = "auto", device: torch.device | str = "cpu") -> str:
    """The backend to use: the one named, or for ``auto`` the fastest for tensors on ``device``.

    Tensors on a GPU are drawn where they are, by gsplat, else cuda, else torch (gsplat comes first until the own
    kernels have been measured against it on a GPU); tensors on the CPU by the cpu backend, else torch.

    Raises:
        BackendError: no such backend, or it cannot run on this machine.
    """
    if name == "auto":
        fast = ("gsplat", "cuda") if torch.device(device).type == "cuda" else ("cpu",)
        return next((candidate for candidate in fast if _problem(candidate) is None), "torch")
    if name not in NAMES:
        raise BackendError(f"There is no backend called {name!r}.", f"Choose auto or one of {', '.join(NAMES)}.")
    problem = _problem(name)
    if problem:
        raise BackendError(f"The {name} backend cannot run here: {problem}.", _HINTS[name])
    return name
