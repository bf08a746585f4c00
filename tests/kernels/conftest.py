from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from splatalk import kernels

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def compiled() -> None:
    """For tests that mean the compiled code and not its twin."""
    if kernels.native() is None:
        pytest.skip(f"NO COMPILED KERNELS: {kernels.native_error()}")


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)
