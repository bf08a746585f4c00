"""The compiled hash triplane against its torch twin, and the properties the paper gives it."""

from __future__ import annotations

import pytest
import torch
from scenes import relative_error

from splatalk.kernels.hash_triplane import HashTriplaneSpec, hash_triplane, hash_triplane_reference

SPECS = [
    HashTriplaneSpec(),
    HashTriplaneSpec(levels=1, features=1, base_resolution=1, finest_resolution=1, log2_table_size=2),
    HashTriplaneSpec(levels=4, features=4, base_resolution=8, finest_resolution=1000, log2_table_size=6),
    HashTriplaneSpec(levels=3, features=8, base_resolution=5, finest_resolution=9, log2_table_size=12),
]


def points(n: int, spec: HashTriplaneSpec, seed: int = 0) -> torch.Tensor:
    """Points in 0..1 that no level has within rounding of a cell border, where the gradient jumps."""
    x = torch.rand(4 * n, 3, generator=torch.Generator().manual_seed(seed))
    resolutions = torch.tensor([row[0] for row in spec.level_table.tolist()])
    position = x[:, :, None].double() * resolutions
    clear = ((position - position.round()).abs() > 1e-3).flatten(1).all(1)
    return x[clear][:n]


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.usefixtures("compiled")
def test_agrees_with_the_twin(spec):
    x = points(500, spec)
    assert len(x) > 100
    tables = torch.randn(3, spec.entries, spec.features, generator=torch.Generator().manual_seed(1))
    d = torch.randn(len(x), spec.width, generator=torch.Generator().manual_seed(2))
    x32, t32 = x.clone().requires_grad_(), tables.clone().requires_grad_()
    x64, t64 = x.double().requires_grad_(), tables.double().requires_grad_()
    out, truth = hash_triplane(x32, t32, spec), hash_triplane_reference(x64, t64, spec)
    assert out.shape == (len(x), spec.width)
    torch.testing.assert_close(out.double(), truth, rtol=1e-3, atol=1e-3)
    out.backward(d)
    truth.backward(d.double())
    assert relative_error(t32.grad, t64.grad) < 1e-3
    assert relative_error(x32.grad, x64.grad) < 1e-3


def test_twin_gradients_are_finite_differences():
    spec = HashTriplaneSpec(levels=3, features=2, base_resolution=4, finest_resolution=30, log2_table_size=6)
    x = points(5, spec).double().requires_grad_()
    tables = torch.randn(3, spec.entries, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, b: hash_triplane_reference(a, b, spec), (x, tables), eps=1e-6)


def test_levels_grow_geometrically_and_hash_when_full():
    spec = HashTriplaneSpec(levels=12, base_resolution=16, finest_resolution=512, log2_table_size=14)
    table = spec.level_table
    assert table[0, 0] == 16 and table[-1, 0] == 512
    for resolution, size, _, dense in table.tolist():
        assert bool(dense) == ((resolution + 1) ** 2 <= 2**14)
        assert size == ((resolution + 1) ** 2 if dense else 2**14)
    assert (table[1:, 2] == table[:-1, 1:3].sum(1)).all() and spec.entries == table[-1, 1:3].sum()


def test_a_dense_level_is_bilinear():
    """Tables that hold a linear function give it back exactly, up to the border."""
    spec = HashTriplaneSpec(levels=1, features=1, base_resolution=8, finest_resolution=8, log2_table_size=8)
    j, i = torch.meshgrid(torch.arange(9.0), torch.arange(9.0), indexing="ij")
    tables = (i / 8 + 10 * j / 8).reshape(1, 81, 1).expand(3, 81, 1)
    x = torch.cat([torch.rand(100, 3), torch.eye(3), torch.ones(1, 3), torch.zeros(1, 3)])
    expected = torch.stack([x[:, 0] + 10 * x[:, 1], x[:, 1] + 10 * x[:, 2], x[:, 0] + 10 * x[:, 2]], dim=1)
    torch.testing.assert_close(hash_triplane(x, tables, spec), expected, rtol=1e-5, atol=1e-5)


def test_outside_is_the_border_and_has_no_gradient():
    spec = HashTriplaneSpec(levels=2, base_resolution=4, finest_resolution=64, log2_table_size=8)
    tables = spec.init_tables(torch.Generator().manual_seed(0)) * 1e4
    inf, nan = float("inf"), float("nan")
    x = torch.tensor([[2.0, -1.0, 0.3], [inf, -inf, 0.3], [1.0, nan, 0.3]], requires_grad=True)
    inside = torch.tensor([[1.0, 0.0, 0.3]])
    out = hash_triplane(x, tables, spec)
    assert torch.equal(out, hash_triplane(inside, tables, spec).expand(3, -1))
    out.sum().backward()
    assert not x.grad[:2, :2].any() and x.grad[:, 2].all() and torch.isfinite(x.grad).all()


@pytest.mark.usefixtures("compiled")
def test_threads_change_nothing():
    spec = SPECS[0]
    x, results = points(1000, spec), []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        tables = spec.init_tables(torch.Generator().manual_seed(0)).requires_grad_()
        out = hash_triplane(x, tables, spec)
        out.square().sum().backward()
        results.append((out, tables.grad))
    for out, gradient in results[1:]:
        assert torch.equal(out, results[0][0]) and torch.equal(gradient, results[0][1])


def test_no_points():
    spec = SPECS[0]
    tables = spec.init_tables().requires_grad_()
    out = hash_triplane(torch.zeros(0, 3), tables, spec)
    out.sum().backward()
    assert out.shape == (0, spec.width) and not tables.grad.any()


@pytest.mark.parametrize(
    "wrong",
    [{"levels": 0}, {"features": 3}, {"base_resolution": 0}, {"finest_resolution": 8}, {"log2_table_size": 30}],
)
def test_wrong_specs_are_refused(wrong):
    with pytest.raises(ValueError):
        HashTriplaneSpec(**wrong)


def test_wrong_tables_are_refused():
    spec = SPECS[0]
    with pytest.raises(ValueError, match="tables must have shape"):
        hash_triplane(torch.zeros(4, 3), torch.zeros(3, 10, 2), spec)
    with pytest.raises(ValueError, match="x must have shape"):
        hash_triplane(torch.zeros(4, 2), spec.init_tables(), spec)
