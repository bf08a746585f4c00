"""The compiled perceptual distance must equal its torch twin in float64, in value and gradient, at every size."""

from __future__ import annotations

import pytest
import torch

from splatalk import assets
from splatalk.errors import AssetError
from splatalk.kernels import native
from splatalk.kernels.perceptual import PerceptualDistance, transformed
from splatalk.train.perceptual import Lpips, PatchDistance

pytestmark = pytest.mark.skipif(native() is None, reason="NOT TESTED: the compiled kernels are not built")


@pytest.fixture(scope="module")
def compiled() -> PerceptualDistance:
    try:
        assets.fetch("lpips_alex")
    except AssetError as e:
        pytest.skip(f"THE PERCEPTUAL DISTANCE IS NOT TESTED: {e}")
    found = PatchDistance(torch.device("cpu")).compiled
    assert found is not None
    return found


@pytest.fixture(scope="module")
def twin(compiled: PerceptualDistance) -> Lpips:
    return Lpips().double()


def patches(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(height * width)
    noise = torch.rand(1, 3, height + 4, width + 4, generator=generator)
    smooth = torch.nn.functional.avg_pool2d(noise, 5, 1)[0].permute(1, 2, 0).contiguous()
    return smooth, 0.7 * smooth + 0.3 * torch.rand(height, width, 3, generator=generator)


@pytest.mark.parametrize("size", [(192, 192), (35, 35), (36, 41), (67, 51), (80, 96)])
def test_equals_the_twin(compiled: PerceptualDistance, twin: Lpips, size: tuple[int, int]) -> None:
    a, b = patches(*size)
    drawn, exact = a.clone().requires_grad_(), a.double().requires_grad_()
    value = compiled(drawn, b)
    wanted = twin(exact.permute(2, 0, 1)[None], b.double().permute(2, 0, 1)[None])[0]
    (2.0 * value).backward()
    (2.0 * wanted).backward()
    assert value.item() == pytest.approx(wanted.item(), rel=1e-5)
    assert drawn.grad is not None and exact.grad is not None
    assert (drawn.grad - exact.grad).norm() < 1e-4 * exact.grad.norm()


def test_the_same_on_any_number_of_threads(compiled: PerceptualDistance) -> None:
    a, b = patches(64, 70)
    found = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            drawn = a.clone().requires_grad_()
            value = compiled(drawn, b)
            value.backward()
            found.append((value.detach(), drawn.grad))
    finally:
        torch.set_num_threads(before)
    for value, gradient in found[1:]:
        assert torch.equal(value, found[0][0]) and torch.equal(gradient, found[0][1])


def test_equal_and_black_patches(compiled: PerceptualDistance) -> None:
    a, _ = patches(48, 48)
    assert compiled(a, a).item() < 1e-9
    black = torch.zeros(48, 48, 3, requires_grad=True)
    compiled(black, a).backward()
    assert black.grad is not None and bool(black.grad.isfinite().all())


@pytest.mark.parametrize("taps", [3, 5])
def test_transformed_kernels_filter(taps: int) -> None:
    kernel = torch.rand(16, 2, taps, taps, dtype=torch.float64)
    points = {3: 4, 5: 6}[taps]
    found = transformed(kernel)
    assert found.shape == (points * points, 1, 2, 16)
    # The first and last position belong to the points 0 and infinity: the first and the last tap alone, scaled.
    scale = 1.0 if taps == 3 else 1 / 16
    assert torch.allclose(found[0, 0].T, scale * kernel[:, :, 0, 0])
    assert torch.allclose(found[-1, 0].T, kernel[:, :, -1, -1])


def test_refuses_what_does_not_fit(compiled: PerceptualDistance) -> None:
    with pytest.raises(ValueError, match="35"):
        compiled(torch.rand(34, 60, 3), torch.rand(34, 60, 3))
    with pytest.raises(ValueError, match="size"):
        compiled(torch.rand(40, 60, 3), torch.rand(60, 40, 3))
    with pytest.raises(ValueError, match="shape"):
        compiled(torch.rand(3, 60, 40), torch.rand(3, 60, 40))
