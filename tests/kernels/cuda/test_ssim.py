"""The CUDA structural similarity against its plain torch twin: values and gradients."""

from __future__ import annotations

import pytest
import torch
from scenes import relative_error

from splatalk.kernels.cuda.ssim import l1_ssim_cuda, ssim_cuda
from splatalk.kernels.ssim import ssim_reference


def pictures(height: int, width: int, channels: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two similar pictures and a weight per pixel."""
    rand = torch.Generator().manual_seed(height * width)
    a = torch.rand(height, width, channels, generator=rand)
    b = (a + 0.1 * torch.randn(a.shape, generator=rand)).clamp(0, 1)
    return a, b, torch.rand(height, width, generator=rand)


@pytest.mark.parametrize("shape", [(37, 45, 3), (5, 9, 1), (16, 16, 4)])
@pytest.mark.parametrize("weighted", [False, True])
def test_agrees_with_the_twin(shape, weighted, device):
    a, b, weight = pictures(*shape)
    ours = [t.to(device, copy=True).requires_grad_() for t in (a, b)]
    theirs = [t.double().requires_grad_() for t in (a, b)]
    value = ssim_cuda(*ours, weight.to(device) if weighted else None)
    truth = ssim_reference(*theirs, weight.double() if weighted else None)
    assert value.item() == pytest.approx(truth.item(), rel=1e-5)
    (3 * value).backward()
    (3 * truth).backward()
    for x, y in zip(ours, theirs, strict=True):
        assert relative_error(x.grad.cpu(), y.grad) < 1e-4


def test_with_absolute_difference(device):
    a, b, weight = pictures(30, 41)
    b[3:7, 5:9] = a[3:7, 5:9]  # where pictures are equal, |a - b| has no gradient
    ours, theirs = a.to(device, copy=True).requires_grad_(), a.double().requires_grad_()
    value = l1_ssim_cuda(ours, b.to(device), weight.to(device), 0.2)
    l1 = (weight.double()[..., None] * (theirs - b.double()).abs()).mean()
    truth = l1 + 0.2 * (1 - ssim_reference(theirs, b.double()))
    assert value.item() == pytest.approx(truth.item(), rel=1e-5)
    value.backward()
    truth.backward()
    assert relative_error(ours.grad.cpu(), theirs.grad) < 1e-4


@pytest.mark.parametrize("turn", [1, 5])
def test_no_barrier_is_missing(turn, order):
    a, b, weight = pictures(20, 21)
    a.requires_grad_()
    results = []
    for chosen in (0, turn):
        order(chosen)
        value = l1_ssim_cuda(a, b, weight, 0.2)
        results.append((value.detach(), *torch.autograd.grad(value, a)))
    assert all(torch.equal(x, y) for x, y in zip(*results, strict=True))
