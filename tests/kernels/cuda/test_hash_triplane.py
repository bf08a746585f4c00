"""The CUDA hash triplane against its plain torch twin: values and both gradients."""

from __future__ import annotations

import pytest
import torch
from scenes import relative_error

from splatalk.kernels.cuda.hash_triplane import hash_triplane_cuda
from splatalk.kernels.hash_triplane import HashTriplaneSpec, hash_triplane_reference

SPECS = [
    HashTriplaneSpec(),
    HashTriplaneSpec(levels=1, features=1, base_resolution=1, finest_resolution=1, log2_table_size=2),
    HashTriplaneSpec(levels=4, features=4, base_resolution=8, finest_resolution=1000, log2_table_size=6),
    HashTriplaneSpec(levels=3, features=8, base_resolution=5, finest_resolution=9, log2_table_size=12),
]


def points(n: int, spec: HashTriplaneSpec) -> torch.Tensor:
    """Points in 0..1 that no level has within rounding of a cell border, where the gradient jumps."""
    x = torch.rand(4 * n, 3, generator=torch.Generator().manual_seed(0))
    position = x[:, :, None].double() * torch.from_numpy(spec.level_table[:, 0].copy())
    return x[((position - position.round()).abs() > 1e-3).flatten(1).all(1)][:n]


@pytest.mark.parametrize("spec", SPECS)
def test_agrees_with_the_twin(spec, device):
    x = points(300, spec)
    tables = torch.randn(3, spec.entries, spec.features, generator=torch.Generator().manual_seed(1))
    d = torch.randn(len(x), spec.width, generator=torch.Generator().manual_seed(2))
    ours = [t.to(device, copy=True).requires_grad_() for t in (x, tables)]
    theirs = [t.double().requires_grad_() for t in (x, tables)]
    out, truth = hash_triplane_cuda(*ours, spec), hash_triplane_reference(*theirs, spec)
    assert relative_error(out.detach().cpu(), truth.detach()) < 1e-4
    out.backward(d.to(device))
    truth.backward(d.double())
    for a, b in zip(ours, theirs, strict=True):
        assert relative_error(a.grad.cpu(), b.grad) < 1e-4


def test_outside_is_the_border_and_has_no_gradient(device):
    spec = HashTriplaneSpec(levels=2, base_resolution=4, finest_resolution=64, log2_table_size=8)
    tables = (spec.init_tables(torch.Generator().manual_seed(0)) * 1e4).to(device)
    inf, nan = float("inf"), float("nan")
    x = torch.tensor([[2.0, -1.0, 0.3], [inf, -inf, 0.3], [1.0, nan, 0.3]], device=device, requires_grad=True)
    out = hash_triplane_cuda(x, tables, spec)
    inside = hash_triplane_cuda(torch.tensor([[1.0, 0.0, 0.3]], device=device), tables, spec)
    assert torch.equal(out, inside.expand(3, -1))
    out.sum().backward()
    assert not x.grad[:2, :2].any() and x.grad[:, 2].all() and torch.isfinite(x.grad).all()


def test_no_points(device):
    spec = SPECS[0]
    tables = spec.init_tables().to(device).requires_grad_()
    out = hash_triplane_cuda(torch.zeros(0, 3, device=device), tables, spec)
    out.sum().backward()
    assert out.shape == (0, spec.width) and not tables.grad.any()
