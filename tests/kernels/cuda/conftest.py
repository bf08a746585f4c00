from __future__ import annotations

import pytest
import torch

from splatalk.kernels import cuda

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(cuda.problem() is not None, reason=str(cuda.problem())))]


@pytest.fixture(params=DEVICES)
def device(request) -> torch.device:
    """Where the CUDA kernels run: on the CPU through the host shim, and on a GPU where there is one."""
    return torch.device("cuda", 0) if request.param == "cuda" else torch.device("cpu")


@pytest.fixture
def order():
    """Sets in which order simulated threads take turns; back to ascending afterwards."""
    module = cuda.extension(torch.device("cpu"))
    yield module.set_order
    module.set_order(0)
