"""The CUDA rasterizer against its torch twin: through the host shim everywhere, and on a GPU where there is one."""

from __future__ import annotations

import pytest
import torch
from scenes import NAMES, blob, relative_error

from splatalk.kernels import cuda
from splatalk.kernels.cuda.raster import PairBudget, rasterize_cuda
from splatalk.kernels.raster_reference import rasterize_reference


def on(device, arguments):
    """The same arguments as leaves on another device."""
    move = lambda t: t.detach().to(device).requires_grad_(t.requires_grad)  # noqa: E731
    return {k: move(v) if isinstance(v, torch.Tensor) and k != "viewmat" else v for k, v in arguments.items()}


def both(scene, device, seed: int = 1, budget: PairBudget | None = None):
    """(outputs, gradients) of the kernels in float32 and of the twin in float64, for the same upstream gradients."""
    generator = torch.Generator().manual_seed(seed)
    d_image = torch.randn(scene.height, scene.width, 3, generator=generator)
    d_alpha = torch.randn(scene.height, scene.width, generator=generator)
    results = []
    for draw, dtype, where in (
        (lambda **a: rasterize_cuda(**a, budget=budget), torch.float32, device),
        (rasterize_reference, torch.float64, torch.device("cpu")),
    ):
        arguments = on(where, scene.arguments(dtype, grad=True))
        means2d_grad = torch.full((len(arguments["means"]), 2), 7.0, device=where)
        if draw is rasterize_reference:
            means2d_grad.zero_()  # the twin leaves it alone where it draws nothing
        image, alpha, radii = draw(**arguments, means2d_grad=means2d_grad)
        torch.autograd.backward([image, alpha], [d_image.to(where, dtype), d_alpha.to(where, dtype)])
        gradients = {name: arguments[name].grad for name in (*NAMES, "background")} | {"means2d": means2d_grad}
        values = tuple(t.detach().cpu() for t in (image, alpha, radii))
        results.append((values, {k: v.cpu() for k, v in gradients.items()}))
    return results


def assert_agree(scene, device, mean: float = 2e-6, **options):
    """``mean``: how far pixels may be off on average."""
    (values, gradients), (truths, true_gradients) = both(scene, device, **options)
    for value, truth in zip(values[:2], truths):
        assert (value - truth).abs().max() < 2e-3
        assert (value - truth).abs().mean() < mean
    torch.testing.assert_close(values[2].double(), truths[2], rtol=1e-4, atol=1e-3)
    for name, truth in true_gradients.items():
        assert relative_error(gradients[name], truth) < 1e-3, name


@pytest.mark.parametrize(
    ("n", "width", "height", "plate"),
    [(200, 83, 61, False), (100, 40, 35, True), (200, 16, 16, False), (50, 1, 1, False), (150, 129, 5, True)],
)
def test_agrees_with_the_twin(device, n, width, height, plate):
    assert_agree(blob(n, width, height, 3, plate), device)


def test_opaque_stacks_end_at_the_same_gaussian(device):
    """Many nearly opaque layers: the limit on alpha and the end of a pixel decide what is seen."""
    scene = blob(200, 40, 30, 5)
    scene.gaussians["opacities"].fill_(1.0)
    scene.gaussians["scales"].mul_(4)
    assert_agree(scene, device)


def test_gaussians_that_cover_the_picture_and_needles(device):
    """A Gaussian with many tiles is summed by a whole warp; needles miss most tiles of their box."""
    scene = blob(40, 150, 140, 6)
    scene.gaussians["scales"][:6] *= 30
    scene.gaussians["scales"][6:] *= torch.tensor([12.0, 0.05, 0.05])
    assert_agree(scene, device)


def test_more_pairs_in_a_tile_than_are_sorted_at_once(device):
    """2300 faint layers over one tile, many at the same depth."""
    scene = blob(2300, 8, 8, 8)
    g = scene.gaussians
    g["means"][:, :2] *= 0.02
    g["means"][:, 2] = 1.5 + 0.001 * (torch.arange(2300) * 7 % 900)
    g["scales"] *= 8
    g["opacities"] = 0.006 + 0.02 * g["opacities"]
    assert_agree(scene, device, mean=2e-5)  # float32 and float64 disagree about the order of some


def test_very_long_lists_are_sorted(device):
    scene = blob(9000, 8, 8, 9)
    g = scene.gaussians
    g["means"][:, 2].abs_()
    g["scales"].fill_(0.5)
    g["opacities"].fill_(0.005)
    arguments = scene.arguments()
    image = rasterize_cuda(**on(device, arguments))[0].cpu()
    truth = rasterize_reference(**arguments)[0]
    assert (image - truth).abs().max() < 1e-4


def test_image_gradient_alone_and_alpha_gradient_alone(device):
    scene = blob(60, 20, 20, 7)
    for pick in (0, 1):
        values = []
        for draw, dtype, where in (
            (rasterize_cuda, torch.float32, device),
            (rasterize_reference, torch.float64, "cpu"),
        ):
            arguments = on(where, scene.arguments(dtype, grad=True))
            draw(**arguments)[pick].square().sum().backward()
            values.append(arguments["opacities"].grad.cpu())
        assert relative_error(*values) < 1e-3


@pytest.mark.parametrize("n", [0, 30])
def test_nothing_to_see(device, n):
    scene = blob(n, 20, 10)
    scene.gaussians["means"][:, 2] = -1
    arguments = on(device, scene.arguments(grad=True))
    means2d_grad = torch.full((n, 2), 7.0, device=device)
    image, alpha, radii = rasterize_cuda(**arguments, means2d_grad=means2d_grad)
    (image.sum() + alpha.sum()).backward()
    assert torch.equal(image, arguments["background"].expand(10, 20, 3)) and not alpha.any() and not radii.any()
    assert not arguments["means"].grad.any() and not means2d_grad.any()
    assert torch.equal(arguments["background"].grad.cpu(), torch.full((3,), 200.0))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e38])
def test_numbers_that_are_not_finite_are_skipped(device, name, value):
    scene = blob(30, 20, 20, 11)
    scene.gaussians[name][3] = value
    (values, gradients), (truths, true_gradients) = both(scene, device)
    assert torch.isfinite(values[0]).all()
    same = value != value or abs(value) < 1e6 or name != "scales"  # float32 skips what only float64 can hold
    if same:
        assert (values[0] - truths[0]).abs().max() < 2e-3
    for key in NAMES:
        assert torch.isfinite(gradients[key]).all(), key
        if same:
            assert relative_error(gradients[key], true_gradients[key]) < 1e-3, key


def run(scene, device, **options):
    arguments = on(device, scene.arguments(grad=True))
    image, alpha, radii = rasterize_cuda(**arguments, **options)
    (image.square().sum() + alpha.sum()).backward()
    return [t.cpu() for t in (image.detach(), alpha.detach(), radii, *(arguments[name].grad for name in NAMES))]


def test_the_order_of_threads_changes_no_bit(order):
    """Neither in pictures nor in gradients; a missing barrier or a race would show as well."""
    scene = blob(120, 50, 40, 12)
    scene.gaussians["means"][60:] = scene.gaussians["means"][:60]  # equal depths
    results = []
    for chosen in (0, 1, 77):
        order(chosen)
        results.append(run(scene, torch.device("cpu")))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other))


def test_a_second_run_gives_the_same_bits(device):
    scene = blob(150, 60, 40, 13)
    assert all(torch.equal(a, b) for a, b in zip(run(scene, device), run(scene, device)))


def crowd():
    """Few Gaussians with more pairs than a budget starts with."""
    scene = blob(30, 100, 90, 14)
    scene.gaussians["means"][:, 2].abs_()
    scene.gaussians["scales"] *= 20
    scene.gaussians["opacities"].fill_(0.3)
    return scene


def test_too_little_room_is_noticed_and_made(device):
    budget = PairBudget(device)
    assert_agree(crowd(), device, budget=budget)
    assert budget.capacity > 8 * 30 + 4 * 7 * 6


def test_a_deferred_budget_draws_the_background_until_it_is_settled(device):
    scene, budget = crowd(), PairBudget(device, deferred=True)
    image, alpha, _, *gradients = run(scene, device, budget=budget)
    assert torch.equal(image, scene.background.expand_as(image)) and not alpha.any()
    assert not any(g.any() for g in gradients)
    assert not budget.settle()
    after = run(scene, device, budget=budget)
    assert budget.settle() and after[1].any()
    assert all(torch.equal(a, b) for a, b in zip(after, run(scene, device)))


def test_screens_that_are_there_already(device):
    """The entry for playback: from projected Gaussians to the same bits."""
    scene = blob(100, 50, 40, 15)
    a = on(device, scene.arguments())
    image, alpha, radii = rasterize_cuda(**a)
    module, size = cuda.extension(device), (100, 50, 40, 5000)
    first, second = (torch.empty(module.raster_state_bytes(*size), dtype=torch.uint8, device=device) for _ in range(2))
    new_image, new_alpha = torch.empty_like(image), torch.empty_like(alpha)
    view, stream = scene.viewmat.numpy(), cuda.stream_of(image)
    module.raster_forward(
        [a[name].data_ptr() for name in NAMES], 100, view, scene.intrinsics, 50, 40, a["background"].data_ptr(), False,
        new_image.data_ptr(), new_alpha.data_ptr(), radii.data_ptr(), first.data_ptr(), 5000, 0, stream,
    )  # fmt: skip
    screens = first[: 100 * module.screen_bytes].clone()
    depths = first[100 * module.screen_bytes :][:400].clone()
    most_pairs = torch.zeros(1, dtype=torch.int32, device=device)
    new_image.zero_()
    module.raster_projected(
        screens.data_ptr(), depths.data_ptr(), 100, 50, 40, a["background"].data_ptr(), False, new_image.data_ptr(),
        new_alpha.data_ptr(), most_pairs.data_ptr(), second.data_ptr(), 5000, stream,
    )  # fmt: skip
    assert torch.equal(new_image, image) and torch.equal(new_alpha, alpha) and 0 < int(most_pairs) <= 5000


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("means", torch.zeros(50, 2), r"means must have shape \(any, 3\)"),
        ("colors", torch.zeros(50, 3, dtype=torch.int64), "colors must hold floating-point"),
        ("scales", torch.zeros(49, 3), "differ in length"),
        ("background", torch.zeros(20, 21, 3), "background must have shape"),
        ("width", 0, "1 to 65536"),
        ("means2d_grad", torch.zeros(2, 50).T, "contiguous"),
        ("viewmat", torch.eye(4, requires_grad=True), "viewmat has no gradient"),
        ("quats", torch.zeros(50, 4, device="meta"), "must be on the CPU"),
    ],
)
def test_wrong_input_is_named(name, value, message):
    with pytest.raises(ValueError, match=message):
        rasterize_cuda(**{**blob(50, 20, 20).arguments(), name: value})
