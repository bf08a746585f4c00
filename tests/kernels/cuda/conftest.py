from __future__ import annotations

import pytest
import torch

from splatalk.kernels import cuda

ONLY_WITH_A_GPU = pytest.mark.skipif(cuda.problem() is not None, reason=f"NO GPU: {cuda.problem()}")
DEVICES = ["cpu", pytest.param("cuda", marks=ONLY_WITH_A_GPU)]


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
