"""Where an avatar is trained."""

from __future__ import annotations

import torch

from splatalk.errors import BackendError
from splatalk.render import backends

NAMES = ("auto", "cpu", "cuda")


def choose(name: str) -> torch.device:
    """``auto`` is the GPU when torch sees one and something fast draws on it, else the CPU.

    Raises:
        BackendError: ``cuda`` was asked for and cannot be used.
    """
    if name == "cpu" or (name == "auto" and not _usable()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise BackendError(
            "There is no GPU that torch can use.", "Install a CUDA build of torch and a driver, or use --device cpu."
        )
    return torch.device("cuda", torch.cuda.current_device())


def _usable() -> bool:
    return torch.cuda.is_available() and backends.choose("auto", "cuda") != "torch"
