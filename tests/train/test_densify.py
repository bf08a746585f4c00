"""Growing and pruning keep every per-Gaussian array in step."""

import torch

from splatalk.avatar.gaussians import PARAMETERS, Gaussians
from splatalk.train.densify import PullStatistics, densify
from splatalk.train.optimizer import NamedAdam, Rate


def scene(n=40):
    torch.manual_seed(0)
    gaussians = Gaussians(
        torch.randn(n, 3), torch.randn(n, 4), torch.full((n, 3), -6.0), torch.zeros(n), torch.zeros(n, 1, 3),
        torch.zeros(n), torch.arange(n) % 2 == 0, torch.arange(n)[:, None].expand(n, 3), torch.ones(n, 3) / 3,
    )  # fmt: skip
    parameters = {f"gaussians/{k}": getattr(gaussians, k) for k in PARAMETERS}
    optimizer = NamedAdam(parameters, dict.fromkeys(parameters, Rate(1e-3, 1e-3)))
    for p in parameters.values():
        p.grad = torch.ones_like(p)
    optimizer.step(0.0)
    return gaussians, optimizer


def grow(gaussians, optimizer, pull, budget=60, share=0.5):
    densify(
        gaussians, optimizer, pull, budget=budget, share=share, pixel=1e-3,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip


def test_the_hardest_pulled_get_children_that_inherit():
    gaussians, optimizer = scene()
    pull = PullStatistics(40, torch.device("cpu"))
    strength = torch.zeros(40)
    strength[[3, 7, 12]] = torch.tensor([1.0, 3.0, 2.0])
    pull.add(strength, torch.ones(40, dtype=torch.bool))
    grow(gaussians, optimizer, pull, budget=43)
    assert len(gaussians) == 43
    assert gaussians.corners[40:, 0].tolist() == [7, 12, 3]
    assert gaussians.dynamic[40:].tolist() == [False, True, False]
    assert all(getattr(gaussians, k).shape[0] == 43 for k in PARAMETERS)
    names = optimizer.parameters
    assert all(names[f"gaussians/{k}"] is getattr(gaussians, k) for k in PARAMETERS)


def test_transparent_ones_go_and_the_budget_holds():
    gaussians, optimizer = scene()
    with torch.no_grad():
        gaussians.opacity_logits[:10] = -9.0
    pull = PullStatistics(40, torch.device("cpu"))
    pull.add(torch.ones(40), torch.ones(40, dtype=torch.bool))
    grow(gaussians, optimizer, pull, budget=35, share=1.0)
    assert len(gaussians) == 35
    assert gaussians.corners[:30, 0].min() == 10


def test_nothing_grows_that_was_never_seen():
    gaussians, optimizer = scene()
    before = gaussians.means.detach().clone()
    grow(gaussians, optimizer, PullStatistics(40, torch.device("cpu")), budget=60)
    assert torch.equal(gaussians.means, before) and len(gaussians) == 40
