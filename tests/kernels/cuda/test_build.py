"""The modules as they were built."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from splatalk.kernels import cuda

_SCRIPT = """
from splatalk.kernels import _cuda
print(_cuda.architectures, "|", _cuda.device_problem())
"""


@pytest.mark.skipif(cuda.build_problem() is not None, reason=f"CUDA kernels {cuda.build_problem()}")
def test_the_module_of_nvcc_loads_without_a_driver():
    result = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    architectures, _, problem = result.stdout.partition("|")
    assert architectures.split()
    if not torch.cuda.is_available():
        assert problem.strip()


def test_the_host_module_is_there_and_needs_no_device():
    module = cuda.extension(torch.device("cpu"))
    assert module.architectures == "host" and module.device_problem() == ""


def test_only_two_kinds_of_device():
    with pytest.raises(RuntimeError, match="not on meta"):
        cuda.extension(torch.device("meta"))


def test_addresses_are_of_contiguous_memory():
    with pytest.raises(ValueError, match="contiguous"):
        cuda.address(torch.zeros(3, 2).T)
    assert cuda.address(None) == 0 and cuda.stream_of(torch.zeros(1)) == 0
