"""The compiled rasterizer against its torch twin, and laws that any rasterizer obeys."""

from __future__ import annotations

import pytest
import torch
from scenes import NAMES, blob, relative_error

from splatalk.kernels.raster import rasterize_cpu
from splatalk.kernels.raster_reference import rasterize_reference

pytestmark = pytest.mark.usefixtures("compiled")


def both(scene, seed: int = 1):
    """(outputs, gradients) of the compiled code in float32 and of the twin in float64, same upstream gradients."""
    generator = torch.Generator().manual_seed(seed)
    d_image = torch.randn(scene.height, scene.width, 3, generator=generator)
    d_alpha = torch.randn(scene.height, scene.width, generator=generator)
    results = []
    for draw, dtype in ((rasterize_cpu, torch.float32), (rasterize_reference, torch.float64)):
        arguments = scene.arguments(dtype, grad=True)
        means2d_grad = torch.zeros(len(arguments["means"]), 2)
        image, alpha, radii = draw(**arguments, means2d_grad=means2d_grad)
        torch.autograd.backward([image, alpha], [d_image.to(dtype), d_alpha.to(dtype)])
        gradients = {name: arguments[name].grad for name in (*NAMES, "background")}
        results.append(((image.detach(), alpha.detach(), radii), {**gradients, "means2d": means2d_grad}))
    return results


@pytest.mark.parametrize(
    ("n", "width", "height", "plate"),
    [(400, 83, 61, False), (400, 83, 61, True), (300, 16, 16, False), (50, 1, 1, False), (300, 129, 5, True)],
)
def test_agrees_with_the_twin(n, width, height, plate):
    ((image, alpha, radii), gradients), ((image2, alpha2, radii2), gradients2) = both(blob(n, width, height, 3, plate))
    assert image.shape == (height, width, 3)
    for value, truth in ((image, image2), (alpha, alpha2)):
        assert (value - truth).abs().max() < 2e-3
        assert (value - truth).abs().mean() < 1e-6
    torch.testing.assert_close(radii.double(), radii2, rtol=1e-4, atol=1e-3)
    for name, truth in gradients2.items():
        assert relative_error(gradients[name], truth) < 1e-3, name


def test_opaque_stacks_end_at_the_same_gaussian():
    """Many nearly opaque layers: the limit on alpha and the end of a pixel decide what is seen."""
    scene = blob(300, 40, 40, 5)
    scene.gaussians["opacities"].fill_(1.0)
    scene.gaussians["scales"].mul_(4)
    ((image, _, _), gradients), ((image2, _, _), gradients2) = both(scene)
    assert (image - image2).abs().max() < 2e-3
    for name in NAMES:
        assert relative_error(gradients[name], gradients2[name]) < 1e-3, name


def test_image_gradient_alone_and_alpha_gradient_alone():
    scene = blob(100, 30, 30, 7)
    for pick in (0, 1):
        values = []
        for draw, dtype in ((rasterize_cpu, torch.float32), (rasterize_reference, torch.float64)):
            arguments = scene.arguments(dtype, grad=True)
            draw(**arguments)[pick].square().sum().backward()
            values.append(arguments["opacities"].grad)
        assert relative_error(*values) < 1e-3


def test_no_gaussians():
    scene = blob(0, 20, 10)
    arguments = scene.arguments(grad=True)
    image, alpha, radii = rasterize_cpu(**arguments)
    (image.sum() + alpha.sum()).backward()
    assert torch.equal(image, scene.background.expand(10, 20, 3)) and not alpha.any() and len(radii) == 0
    assert arguments["means"].grad.shape == (0, 3)
    assert torch.equal(arguments["background"].grad, torch.full((3,), 200.0))


def spoil(scene, name: str, value: float, which: slice) -> None:
    scene.gaussians[name][which] = value


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name in NAMES for value in (float("nan"), float("inf"), -float("inf"))]
    + [("quats", 0.0), ("scales", 0.0), ("scales", 1e9), ("scales", 1e30), ("means", 1e30), ("means", 0.0)]
    + [("opacities", 0.0), ("opacities", -1.0), ("opacities", 1e-30), ("opacities", 5.0), ("scales", -0.05)],
)
def test_strange_gaussians_are_harmless(name, value):
    """They change nothing, or what the twin says; gradients stay finite."""
    scene = blob(60, 33, 29, 11)
    spoil(scene, name, value, slice(0, 20))
    ((image, _, _), gradients), ((image2, _, _), gradients2) = both(scene)
    assert torch.isfinite(image).all()
    same = value != value or abs(value) < 1e6 or name != "scales"  # float32 skips what only float64 can hold
    if same:
        assert (image - image2).abs().max() < 2e-3
    for key in NAMES:
        assert torch.isfinite(gradients[key]).all(), key
        if same:
            assert relative_error(gradients[key], gradients2[key]) < 1e-3, key


def test_gaussians_that_are_not_drawn_have_no_gradient_and_no_radius():
    scene = blob(200, 40, 40, 2)
    arguments = scene.arguments(grad=True)
    image, _, radii = rasterize_cpu(**arguments)
    image.square().sum().backward()
    hidden = radii == 0
    assert hidden.sum() > 5
    for name in NAMES:
        assert not arguments[name].grad[hidden].any(), name


def test_order_of_storage_does_not_matter():
    scene = blob(300, 50, 40, 4)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    first, second = scene.arguments(grad=True), scene.arguments()
    for name in NAMES:
        second[name] = second[name][order].clone().requires_grad_()
    images = []
    for arguments in (first, second):
        image, _, _ = rasterize_cpu(**arguments)
        image.square().sum().backward()
        images.append(image)
    assert torch.equal(*images)
    for name in NAMES:
        torch.testing.assert_close(first[name].grad[order], second[name].grad, rtol=1e-4, atol=1e-5)


def test_a_plate_of_one_colour_is_that_colour():
    scene = blob(200, 37, 31, 6)
    arguments = scene.arguments()
    image, alpha, _ = rasterize_cpu(**arguments)
    plate = {**arguments, "background": arguments["background"].expand(31, 37, 3)}
    assert torch.equal(rasterize_cpu(**plate)[0], image)
    black, _, _ = rasterize_cpu(**{**arguments, "background": None})
    torch.testing.assert_close(image, black + (1 - alpha)[..., None] * arguments["background"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_nothing(threads):
    scene = blob(400, 90, 70, 8)
    results = []
    for count in (2, threads):
        torch.set_num_threads(count)
        arguments = scene.arguments(grad=True)
        image, alpha, _ = rasterize_cpu(**arguments)
        (image.square().sum() + alpha.sum()).backward()
        results.append([image, alpha, *(arguments[name].grad for name in NAMES)])
    assert all(torch.equal(a, b) for a, b in zip(*results))


def test_other_layouts_and_types_are_converted():
    scene = blob(50, 20, 20, 9)
    arguments = scene.arguments()
    image, _, _ = rasterize_cpu(**arguments)
    means = arguments["means"].double().T.contiguous().T.requires_grad_()
    other, _, _ = rasterize_cpu(**{**arguments, "means": means, "colors": arguments["colors"].flip(1).flip(1)})
    other.sum().backward()
    assert torch.equal(image, other.detach()) and means.grad.dtype == torch.float64


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("means", torch.zeros(50, 2), r"means must have shape \(any, 3\)"),
        ("means", [[0.0, 0.0, 0.0]], "means must be a torch tensor"),
        ("colors", torch.zeros(50, 3, dtype=torch.int64), "colors must hold floating-point"),
        ("scales", torch.zeros(49, 3), "differ in length"),
        ("opacities", torch.zeros(50, 1), "opacities must have shape"),
        ("viewmat", torch.eye(3), "viewmat must have shape"),
        ("background", torch.zeros(20, 21, 3), "background must have shape"),
        ("width", 0, "1 to 65536"),
        ("means2d_grad", torch.zeros(2, 50).T, "contiguous"),
        ("viewmat", torch.eye(4, requires_grad=True), "viewmat has no gradient"),
        ("means", torch.zeros(50, 3, device="meta"), "must be on the CPU"),
    ],
)
def test_wrong_input_is_named(name, value, message):
    with pytest.raises(ValueError, match=message):
        rasterize_cpu(**{**blob(50, 20, 20).arguments(), name: value})
