"""The compiled SSIM against its torch twin and the definition."""

from __future__ import annotations

import pytest
import torch
from scenes import relative_error

from splatalk.kernels.ssim import l1_ssim, ssim, ssim_map, ssim_reference


def pair(*shape: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    a = torch.rand(*shape, generator=generator)
    return a, (a + 0.2 * torch.randn(*shape, generator=generator)).clamp(0, 1)


@pytest.mark.parametrize("shape", [(64, 48, 3), (37, 53, 3), (3, 4, 1), (1, 1, 3), (20, 5, 2), (33, 100, 4)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.usefixtures("compiled")
def test_agrees_with_the_twin(shape, weighted):
    a, b = pair(*shape)
    weight = torch.rand(shape[:2], generator=torch.Generator().manual_seed(3)) if weighted else None
    a32, b32 = a.clone().requires_grad_(), b.clone().requires_grad_()
    a64, b64 = a.double().requires_grad_(), b.double().requires_grad_()
    value = ssim(a32, b32, weight)
    truth = ssim_reference(a64, b64, None if weight is None else weight.double())
    assert float(value.detach()) == pytest.approx(float(truth.detach()), abs=1e-5)
    (3 * value).backward()
    (3 * truth).backward()
    assert relative_error(a32.grad, a64.grad) < 1e-3
    assert relative_error(b32.grad, b64.grad) < 1e-3


def test_twin_is_the_definition():
    """One inner pixel by sums over its window."""
    a, b = (image.double() for image in pair(15, 15, 1))
    offsets = torch.arange(11, dtype=torch.float64) - 5
    window = torch.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window = (window / window.sum())[..., None]
    x, y = a[2:13, 2:13], b[2:13, 2:13]
    mx, my = (window * x).sum(), (window * y).sum()
    vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
    vxy = (window * (x - mx) * (y - my)).sum()
    expected = (2 * mx * my + 1e-4) * (2 * vxy + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    assert float(ssim_map(a, b)[7, 7, 0]) == pytest.approx(float(expected), rel=1e-9)


def test_twin_gradients_are_finite_differences():
    a, b = (image.double().requires_grad_() for image in pair(6, 7, 2))
    assert torch.autograd.gradcheck(ssim_reference, (a, b), eps=1e-6, atol=1e-6)


def test_equal_images():
    a, b = pair(40, 30, 3)
    assert float(ssim(a, a)) == pytest.approx(1.0, abs=1e-6)
    assert float(ssim(a, b)) == pytest.approx(float(ssim(b, a)), abs=1e-6) and float(ssim(a, b)) < 0.95


def test_weight_selects():
    """A weight that is 1 in a region gives the mean of the map there."""
    a, b = pair(40, 30, 3)
    weight = torch.zeros(40, 30)
    weight[10:20, 5:25] = 1
    assert float(ssim(a, b, weight)) == pytest.approx(float(ssim_map(a, b)[10:20, 5:25].mean()), abs=1e-5)


@pytest.mark.parametrize("shape", [(37, 53, 3), (5, 7, 1), (16, 16, 4)])
def test_l1_ssim_is_its_parts(shape):
    a, b = pair(*shape)
    b[0, 0] = a[0, 0]  # no difference: no gradient of the absolute value
    weight = torch.rand(shape[:2], generator=torch.Generator().manual_seed(4))
    for l1_weight in (weight, 0.8):
        first, second = a.clone().requires_grad_(), a.double().requires_grad_()
        value = l1_ssim(first, b, l1_weight, 0.2)
        pixel = l1_weight.double()[..., None] if isinstance(l1_weight, torch.Tensor) else l1_weight
        truth = (pixel * (second - b.double()).abs()).mean() + 0.2 * (1 - ssim_reference(second, b.double()))
        assert float(value.detach()) == pytest.approx(float(truth.detach()), abs=1e-5)
        (2 * value).backward()
        (2 * truth).backward()
        assert relative_error(first.grad, second.grad) < 1e-3
    with pytest.raises(ValueError, match="first image only"):
        l1_ssim(a, b.clone().requires_grad_(), 0.8, 0.2)


@pytest.mark.usefixtures("compiled")
def test_threads_change_nothing():
    a, b = pair(70, 50, 3)
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        image = a.clone().requires_grad_()
        value = ssim(image, b)
        value.backward()
        results.append((value.detach(), image.grad))
    assert all(torch.equal(v, results[0][0]) and torch.equal(g, results[0][1]) for v, g in results)


def test_strided_images():
    a, b = pair(20, 16, 3)
    planar = a.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    assert float(ssim(planar, b)) == float(ssim(a, b))


def test_wrong_input_is_named():
    a, b = pair(20, 16, 3)
    with pytest.raises(ValueError, match="b must have shape"):
        ssim(a, b[:10])
    with pytest.raises(ValueError, match="a must have shape"):
        ssim(a[0], b[0])
    with pytest.raises(ValueError, match="floating-point"):
        ssim((a * 255).to(torch.uint8), b)
    with pytest.raises(ValueError, match="empty"):
        ssim(a[:0], b[:0])
    with pytest.raises(ValueError, match="weight must have shape"):
        ssim(a, b, torch.ones(16, 20))
