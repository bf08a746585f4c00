"""NamedAdam equals torch's Adam, survives a change of rows, and goes on exactly from saved moments."""

import torch
from torch import nn

from splatalk.train.optimizer import BETAS, EPS, NamedAdam, Rate


def steps(optimizer, parameter, n, seed):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(n):
        parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step(0.0)


def test_equals_plain_adam():
    a, b = nn.Parameter(torch.ones(4, 3)), nn.Parameter(torch.ones(4, 3))
    steps(NamedAdam({"a": a}, {"a": Rate(1e-2, 1e-3)}), a, 5, 0)
    plain = torch.optim.Adam([b], lr=1e-2, betas=BETAS, eps=EPS)
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        b.grad = torch.randn(b.shape, generator=generator)
        plain.step()
    torch.testing.assert_close(a, b)


def test_rate_falls_exponentially():
    rate = Rate(1e-2, 1e-4)
    assert rate.at(0.0) == 1e-2
    assert abs(rate.at(0.5) - 1e-3) < 1e-9
    assert abs(rate.at(1.0) - 1e-4) < 1e-9 and rate.at(2.0) == rate.at(1.0)


def test_inactive_parameters_stay():
    a, b = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    optimizer = NamedAdam({"a": a, "b": b}, dict.fromkeys(("a", "b"), Rate(1e-2, 1e-2)))
    a.grad, b.grad = torch.ones(3), torch.ones(3)
    optimizer.step(0.0, lambda name: name == "a")
    assert (a != 1).all() and (b == 1).all() and b.grad is None


def test_names_of_one_rate_are_updated_together_and_each_by_its_own_gradient():
    parameters = {name: nn.Parameter(torch.ones(3)) for name in "abc"}
    rates = {"a": Rate(1e-2, 1e-2), "b": Rate(1e-2, 1e-2), "c": Rate(1e-1, 1e-1)}
    optimizer = NamedAdam(parameters, rates)
    assert [len(g["params"]) for g in optimizer.adam.param_groups] == [2, 1]
    for name, sign in (("a", 1.0), ("b", -1.0), ("c", 1.0)):
        parameters[name].grad = torch.full((3,), sign)
    optimizer.step(0.0)
    moved = [float(parameters[name][0].detach() - 1) for name in "abc"]
    torch.testing.assert_close(torch.tensor(moved), torch.tensor([-1e-2, 1e-2, -1e-1]))


def test_kept_rows_keep_their_moments_and_new_ones_start_fresh():
    a = nn.Parameter(torch.zeros(4, 2))
    optimizer = NamedAdam({"a": a}, {"a": Rate(1e-2, 1e-2)})
    steps(optimizer, a, 3, 1)
    before = optimizer.state_tensors()["a/exp_avg"]
    keep = torch.tensor([2, 0])
    new = optimizer.replace_rows("a", keep, 1, torch.zeros(3, 2))
    after = optimizer.state_tensors()["a/exp_avg"]
    torch.testing.assert_close(after[:2], before[keep])
    assert (after[2] == 0).all() and new.shape == (3, 2)
    steps(optimizer, new, 1, 2)
    assert (new != 0).any()


def test_saved_moments_continue_exactly():
    a = nn.Parameter(torch.zeros(4, 2))
    one = NamedAdam({"a": a}, {"a": Rate(1e-2, 1e-2)})
    steps(one, a, 3, 1)
    b = nn.Parameter(a.detach().clone())
    two = NamedAdam({"a": b}, {"a": Rate(1e-2, 1e-2)})
    two.load_state_tensors(one.state_tensors())
    steps(one, a, 3, 5)
    steps(two, b, 3, 5)
    assert torch.equal(a, b)
