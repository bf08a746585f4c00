"""Our tables in tinycudann's layout, against a stand-in with its documented semantics and its Python signature."""

from __future__ import annotations

import sys
import types

import pytest
import torch
from scenes import relative_error

from splatalk.kernels import tcnn_adapter
from splatalk.kernels.hash_triplane import HashTriplaneSpec, hash_triplane_reference


class Encoding(torch.nn.Module):
    """A 2D HashGrid as tinycudann computes it: every level's grid, dense or hashed, and bilinear interpolation."""

    def __init__(self, n_input_dims, encoding_config, seed=1337, dtype=None):
        super().__init__()
        c = encoding_config
        assert (n_input_dims, c["otype"], c["type"], c["interpolation"]) == (2, "Grid", "Hash", "Linear")
        self.features, self.levels, first = c["n_features_per_level"], [], 0
        for level in range(c["n_levels"]):
            scale = c["per_level_scale"] ** level * c["base_resolution"] - 1.0
            resolution = int(torch.tensor(scale).ceil()) + 1
            size = min((resolution**2 + 7) // 8 * 8, 2 ** c["log2_hashmap_size"])
            self.levels.append((scale, resolution, size, first))
            first += size
        self.n_output_dims = self.features * len(self.levels)
        self.params = torch.nn.Parameter(torch.zeros(first * self.features, dtype=dtype))

    def forward(self, x):
        out = []
        for scale, resolution, size, first in self.levels:
            table = self.params.view(-1, self.features)[first : first + size]
            position = x * scale + 0.5
            cell = position.detach().floor().long()
            fraction = position - cell
            total = 0
            for corner in ((0, 0), (1, 0), (0, 1), (1, 1)):
                i, j = ((cell[:, k] + corner[k]) & 0xFFFFFFFF for k in (0, 1))
                hashed = resolution**2 > size
                index = (i ^ (j * 2654435761 & 0xFFFFFFFF)) if hashed else i + j * resolution
                weights = [fraction[:, k] if corner[k] else 1 - fraction[:, k] for k in (0, 1)]
                total = total + (weights[0] * weights[1])[:, None] * table[index % size]
            out.append(total)
        return torch.cat(out, 1)


@pytest.fixture
def tinycudann(monkeypatch):
    module = types.ModuleType("tinycudann")
    module.Encoding = Encoding
    monkeypatch.setitem(sys.modules, "tinycudann", module)
    tcnn_adapter._encodings.cache_clear()
    yield
    tcnn_adapter._encodings.cache_clear()


@pytest.mark.parametrize(
    "spec",
    [
        HashTriplaneSpec(),
        HashTriplaneSpec(levels=1, features=1, base_resolution=1, finest_resolution=1, log2_table_size=2),
        HashTriplaneSpec(levels=4, features=4, base_resolution=8, finest_resolution=1000, log2_table_size=6),
        HashTriplaneSpec(levels=3, features=8, base_resolution=5, finest_resolution=9, log2_table_size=12),
    ],
)
@pytest.mark.usefixtures("tinycudann")
def test_the_same_tables_give_the_same_features_and_gradients(spec):
    rand = torch.Generator().manual_seed(0)
    x = torch.rand(300, 3, generator=rand) * 0.98 + 0.01
    tables = torch.randn(3, spec.entries, spec.features, generator=rand)
    d = torch.randn(300, spec.width, generator=rand)
    ours = [t.double().requires_grad_() for t in (x, tables)]
    theirs = [t.double().requires_grad_() for t in (x, tables)]
    out = tcnn_adapter.hash_triplane_tcnn(*ours, spec)
    truth = hash_triplane_reference(*theirs, spec)
    assert out.shape == truth.shape and relative_error(out.detach(), truth.detach()) < 1e-9
    out.backward(d.double())
    truth.backward(d.double())
    for a, b in zip(ours, theirs, strict=True):
        assert relative_error(a.grad, b.grad) < 1e-9


@pytest.mark.usefixtures("tinycudann")
def test_the_border_is_the_same():
    spec = HashTriplaneSpec(levels=3, base_resolution=4, finest_resolution=64, log2_table_size=8)
    tables = torch.randn(3, spec.entries, 2)
    x = torch.tensor([[0.0, 1.0, 0.5], [2.0, -1.0, float("nan")], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    ours, truth = tcnn_adapter.hash_triplane_tcnn(x, tables, spec), hash_triplane_reference(x, tables, spec)
    torch.testing.assert_close(ours, truth, rtol=1e-4, atol=1e-4)


def test_another_layout_is_refused(tinycudann, monkeypatch):
    class Smaller(Encoding):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.params = torch.nn.Parameter(self.params[:8])

    monkeypatch.setattr(sys.modules["tinycudann"], "Encoding", Smaller)
    spec = HashTriplaneSpec(levels=2)
    with pytest.raises(RuntimeError, match="in another way"):
        tcnn_adapter.hash_triplane_tcnn(torch.rand(4, 3), spec.init_tables(), spec)


def test_without_it_the_reason_is_told():
    if tcnn_adapter.problem() is None:
        pytest.skip("tinycudann is installed")
    assert "tinycudann" in tcnn_adapter.problem()
