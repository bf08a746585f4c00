"""Training on a GPU leaves no tensor behind on the CPU: the whole loop runs on a pretended one, and gives what it gives
on the CPU. Kernels are ferried to the CPU; that they are right is tested in tests/kernels/cuda."""

from __future__ import annotations

import dataclasses
import importlib

import pytest
import torch
from pretend_cuda import CPU, GPU, DeviceMismatch, Pretend, moved, pretending

from splatalk.errors import BackendError
from splatalk.train import checkpoint, device
from splatalk.train.losses import Target
from splatalk.train.run import build

SHORT = {"static_iterations": 3, "speech_iterations": 4, "densify_every": 3, "perceptual_every": 2}


def ferried(function):
    """A kernel for pretended tensors: all of its pictures and Gaussians must be there."""

    def call(*args, **kwargs):
        tensors = [a for a in args if isinstance(a, torch.Tensor) and a.ndim > 0 and a.dtype == torch.float32]
        assert all(isinstance(a, Pretend) for a in tensors), "a kernel got tensors of two devices"
        out = function(*(moved(a, CPU) if isinstance(a, torch.Tensor) else a for a in args), **kwargs)
        return tuple(moved(o, GPU) for o in out) if isinstance(out, tuple) else moved(out, GPU)

    return call


@pytest.fixture
def gpu(monkeypatch):
    """Everything that training calls on a GPU, as far as it can be had without one."""
    from splatalk.kernels import cuda, hash_triplane, ssim
    from splatalk.kernels.raster import rasterize_cpu
    from splatalk.render import backends

    def draw(*args):
        *scene, means2d_grad = args
        assert isinstance(means2d_grad, Pretend)
        return ferried(lambda *a: rasterize_cpu(*a, means2d_grad.inner))(*scene)

    monkeypatch.setattr(cuda, "problem", lambda: None)
    monkeypatch.setattr(backends, "choose", lambda _, where: "cuda" if where.type == "cuda" else "cpu")
    monkeypatch.setitem(importlib.import_module("splatalk.render.rasterize")._DRAW, "cuda", draw)
    monkeypatch.setattr(hash_triplane, "hash_triplane_cuda", ferried(hash_triplane.hash_triplane))
    monkeypatch.setattr(ssim, "l1_ssim_cuda", ferried(ssim.l1_ssim))
    monkeypatch.setattr(Target, "pinned", lambda self: self)
    with pretending() as pretended:
        yield pretended


def tiny(sample_capture, where: torch.device):
    from tests.conftest import TINY

    return build(sample_capture, dataclasses.replace(TINY, **SHORT), 0, where)


def test_training_on_a_gpu_is_training_on_the_cpu(sample_capture, gpu, tmp_path):
    expected = list(tiny(sample_capture, CPU).run())
    trainer = tiny(sample_capture, gpu)
    identity = {"seed": 0}
    reports, steps = [], trainer.run()
    for report in steps:
        reports.append(report)
        if trainer.step == 4:
            checkpoint.save(trainer, tmp_path / "checkpoint.safetensors", identity)
    assert [r.gaussians for r in reports] == [r.gaussians for r in expected]
    for ours, theirs in zip(reports, expected, strict=True):
        assert ours.loss == pytest.approx(theirs.loss, rel=2e-3)
    assert all(isinstance(p, Pretend) for p in trainer.avatar.parameters())
    resumed = tiny(sample_capture, gpu)
    assert checkpoint.restore(resumed, tmp_path / "checkpoint.safetensors", identity)
    assert [r.loss for r in resumed.run()] == pytest.approx([r.loss for r in reports[4:]], rel=2e-3)
    avatar = trainer.avatar.cpu()
    assert not any(isinstance(p, Pretend) for p in (*avatar.parameters(), *avatar.buffers()))


def test_the_pretended_gpu_refuses_what_a_real_one_refuses():
    with pretending() as gpu:
        there, here = torch.zeros(3, device=gpu), torch.zeros(3)
        assert there.device.type == "cuda" and (there + 1).device.type == "cuda"
        with pytest.raises(DeviceMismatch):
            there + here
        with pytest.raises(TypeError):
            there.numpy()
        assert not isinstance((there.cpu() + here), Pretend)
        x = torch.ones(3, requires_grad=True)
        (x.to(gpu) * 2).sum().backward()
        assert x.grad is not None and torch.equal(x.grad, torch.full((3,), 2.0))


def test_without_a_gpu_auto_is_the_cpu_and_cuda_is_refused():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert device.choose("auto").type == "cpu" == device.choose("cpu").type
    with pytest.raises(BackendError, match="no GPU"):
        device.choose("cuda")
