"""The compiled kernels, and beside each its plain torch twin.

``raster``, ``hash_triplane``, ``attention_mlp``, ``posing`` and ``ssim`` run the compiled code when it is there and the
twin otherwise, so that everything works everywhere and is fast where a compiler was found. Kernels take their number of
threads from ``torch.get_num_threads()`` and give the same numbers for any number of threads.

Environment: ``SPLATALK_ISA`` = ``baseline``, ``v3`` or ``v4`` forces an instruction set; ``SPLATALK_NO_NATIVE`` = 1
forces the twins.
"""

from __future__ import annotations

import functools
import importlib
import os
from types import ModuleType
from typing import Any

__all__ = ["compiled", "native", "native_error"]


@functools.lru_cache(maxsize=1)
def _load() -> tuple[ModuleType | None, str | None]:
    if os.environ.get("SPLATALK_NO_NATIVE", "0") not in ("", "0"):
        return None, "switched off by SPLATALK_NO_NATIVE"
    try:
        return importlib.import_module("splatalk.kernels._native"), None
    except ModuleNotFoundError:
        return None, "not built: no C++ compiler (GCC 12 or Clang 13, or newer) was found when splatalk was installed"
    except ImportError as error:
        return None, f"built, but this machine cannot load it: {error}"


def native() -> ModuleType | None:
    """The compiled extension, or None (see `native_error`)."""
    return _load()[0]


def compiled() -> Any:
    """The compiled extension where it is known to be there.

    Raises:
        RuntimeError: it is not.
    """
    module, problem = _load()
    if module is None:
        raise RuntimeError(f"the compiled kernels are missing: {problem}")
    return module


def native_error() -> str | None:
    """Why there is no compiled extension; None when there is one."""
    return _load()[1]
