"""The compiled attention and perceptron against their torch twin, in every size that a block does not divide."""

from __future__ import annotations

import pytest
import torch
from scenes import relative_error

from splatalk.kernels.attention_mlp import AttentionMlp, attention_mlp, attention_mlp_reference

SIZES = {  # encoder's inputs (0: none), width, heads, tokens, hidden, second, outputs
    "default": (72, 64, 2, 12, 64, 64, 13),
    "playback": (0, 64, 2, 11, 64, 64, 13),
    "odd": (5, 17, 3, 1, 7, 33, 2),
    "smallest": (1, 1, 1, 1, 1, 1, 1),
    "no encoder, odd": (0, 19, 1, 5, 21, 3, 18),
}


def network(sizes: tuple[int, ...], seed: int = 0, dtype: torch.dtype = torch.float32) -> AttentionMlp:
    inputs, width, heads, tokens, hidden, second, outputs = sizes
    g = torch.Generator().manual_seed(seed)

    def weight(rows: int, columns: int) -> torch.Tensor:
        return (torch.randn(rows, columns, generator=g) / columns**0.5).to(dtype).requires_grad_()

    def bias(rows: int) -> torch.Tensor:
        return (torch.randn(rows, generator=g) * 0.3).to(dtype).requires_grad_()

    scores = heads * tokens
    return AttentionMlp(
        heads, weight(scores, width), bias(scores), weight(hidden, width), bias(hidden), weight(hidden, scores),
        weight(second, hidden), bias(second), weight(outputs, second), bias(outputs),
        weight(width, inputs) if inputs else None, bias(width) if inputs else None,
    )  # fmt: skip


def points(n: int, sizes: tuple[int, ...], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    x = torch.randn(n, sizes[0] or sizes[1], generator=torch.Generator().manual_seed(n))
    return (2 * x).to(dtype).requires_grad_()


def weights_of(net: AttentionMlp) -> dict[str, torch.Tensor]:
    return {name: value for name, value in net._asdict().items() if isinstance(value, torch.Tensor)}


@pytest.mark.parametrize("n", [1, 31, 32, 1500])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.usefixtures("compiled")
def test_agrees_with_the_twin(sizes, n):
    d = torch.randn(n, sizes[-1], generator=torch.Generator().manual_seed(7))
    results = []
    for run, dtype in ((attention_mlp, torch.float32), (attention_mlp_reference, torch.float64)):
        net, x = network(sizes, dtype=dtype), points(n, sizes, dtype)
        out = run(x, net)
        out.backward(d.to(dtype))
        results.append((out, x.grad, {name: w.grad for name, w in weights_of(net).items()}))
    (out, d_x, gradients), (truth, true_d_x, true_gradients) = results
    assert out.shape == (n, sizes[-1])
    assert (out - truth).abs().max() < 1e-4
    assert relative_error(d_x, true_d_x) < 1e-4
    for name, gradient in true_gradients.items():
        if gradient.norm() > 1e-9:  # a single token's score has no effect
            assert relative_error(gradients[name], gradient) < 1e-4, name


def test_twin_gradients_are_finite_differences():
    sizes = (3, 4, 2, 3, 5, 4, 2)
    net, x = network(sizes, dtype=torch.float64), points(3, sizes, torch.float64)
    weights = weights_of(net)

    def run(x, *values):
        return attention_mlp_reference(x, net._replace(**dict(zip(weights, values))))

    assert torch.autograd.gradcheck(run, (x, *weights.values()), eps=1e-6)


@pytest.mark.usefixtures("compiled")
def test_without_a_backward_pass_the_numbers_are_the_same():
    net, x = network(SIZES["default"]), points(100, SIZES["default"])
    with torch.no_grad():
        quick = attention_mlp(x, net)
    assert torch.equal(quick, attention_mlp(x, net)) and not quick.requires_grad


@pytest.mark.usefixtures("compiled")
def test_inputs_without_gradient_cost_nothing_and_change_nothing():
    sizes, gradients = SIZES["default"], []
    for wanted in (True, False):
        net, x = network(sizes), points(70, sizes).detach().requires_grad_(wanted)
        attention_mlp(x, net).square().sum().backward()
        gradients.append(net.encode.grad)
        assert (x.grad is not None) == wanted
    assert torch.equal(*gradients)


@pytest.mark.usefixtures("compiled")
def test_threads_change_nothing():
    sizes, results = SIZES["default"], []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        net, x = network(sizes), points(3000, sizes)
        out = attention_mlp(x, net)
        out.square().sum().backward()
        results.append([out, x.grad, *(w.grad for w in weights_of(net).values())])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other))


@pytest.mark.parametrize("scale", [1e2, 1e30])
def test_huge_scores_choose_one_token_and_overflow_nothing(scale):
    sizes = SIZES["playback"]
    net, x = network(sizes), points(40, sizes)
    net = net._replace(score=net.score.detach() * scale)
    double = net._replace(**{name: weight.detach().double() for name, weight in weights_of(net).items()})
    with torch.no_grad():
        out, truth = attention_mlp(x, net), attention_mlp_reference(x.double(), double)
    assert (out - truth).abs().max() < 1e-3


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.usefixtures("compiled")
def test_a_point_that_is_not_finite_stays_alone(value):
    sizes = SIZES["default"]
    net, x = network(sizes), points(70, sizes).detach()
    with torch.no_grad():
        clean = attention_mlp(x, net)
        x[33, 5] = value
        out = attention_mlp(x, net)
    others = torch.arange(70) != 33
    assert torch.equal(out[others], clean[others]) and not torch.isfinite(out[33]).all()


def test_no_points():
    sizes = SIZES["default"]
    net, x = network(sizes), torch.zeros(0, 72, requires_grad=True)
    out = attention_mlp(x, net)
    out.sum().backward()
    assert out.shape == (0, 13) and x.grad.shape == (0, 72)
    assert all(not w.grad.any() for w in weights_of(net).values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 5}, "do not divide"),
        ({"value": torch.zeros(64, 3)}, "value must have shape"),
        ({"last_bias": torch.zeros(13, 1)}, "last_bias has 2 axes"),
        ({"encode": torch.zeros(64, 71)}, "encode must have shape"),
        ({"second": torch.zeros(64, 64, dtype=torch.int64)}, "second must hold floating-point"),
        ({"encode": None, "encode_bias": None}, "score must have shape|features"),
    ],
)
@pytest.mark.usefixtures("compiled")
def test_wrong_weights_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        attention_mlp(points(4, SIZES["default"]), network(SIZES["default"])._replace(**change))
