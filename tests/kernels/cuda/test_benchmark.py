"""benchmarks.gpu: checks every kernel through the host shim; its timing code runs too, on a clock that stands still."""

from __future__ import annotations

import sys

import pytest
import torch

from benchmarks import gpu
from splatalk.errors import UserError
from splatalk.kernels import cuda

KERNELS = ["rasterizer", "hash triplane", "L1 and SSIM", "posed Gaussians", "tokens to pixels"]


def test_host_checks_every_kernel(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu", "--host"])
    gpu.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines if line.startswith("| ")][1:] == KERNELS
    assert not any("WRONG" in line for line in lines)


def test_a_wrong_kernel_is_found():
    case = gpu.ssim_case(torch.device("cpu"), 20)
    ours = case.ours
    case.ours = lambda leaves: ours(leaves) * 1.01
    row = gpu.checked(case)
    assert not row.right and "WRONG" in gpu.table({}, [row], [])


def test_the_timing_code_runs(monkeypatch):
    def once(call, repeats):
        call()
        return 2.0

    monkeypatch.setattr(gpu, "milliseconds", once)
    monkeypatch.setattr(gpu, "FRAMES", 2)
    monkeypatch.setattr(gpu, "rasterize", lambda splats, camera, backend: None)
    device = torch.device("cpu")
    case = gpu.hash_case(device, 50)
    rows = [gpu.timed(case, gpu.checked(case)), gpu.Row("posed", "", 0, 1), gpu.Row("drawn", "", 0, 1)]
    gpu.time_playback(device, 100, 32, rows[1:])
    text = gpu.table({"device": "none"}, rows, [])
    assert text.count("2.000") >= 5 and "1000 frames/s; 500 frames/s" in text


@pytest.mark.skipif(cuda.problem() is None, reason="there is a GPU")
def test_without_a_gpu_one_sentence_says_so(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["gpu"])
    with pytest.raises(UserError, match="There is no GPU"):
        gpu.main()
