"""LPIPS must give the lpips package's numbers, be a distance, and read its weights without running anything in them."""

from __future__ import annotations

import io
import pickle
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from splatalk import assets
from splatalk.errors import AssetError
from splatalk.train.perceptual import Lpips, read_weights

# lpips 0.1.4's values, computed by its own code, for the three pairs of `pairs()`.
GOLDEN = (0.01485927, 0.02090139, 0.74512541)


@pytest.fixture(scope="module")
def weights() -> Path:
    try:
        return assets.fetch("lpips_alex")
    except AssetError as e:
        pytest.skip(f"LPIPS IS NOT TESTED: {e}")


@pytest.fixture(scope="module")
def metric(weights: Path) -> Lpips:
    return Lpips(weights)


def pairs() -> tuple[torch.Tensor, torch.Tensor]:
    """Three pairs without a random generator: waves against noise-free changes of them, (3, 3, 80, 96)."""
    y, x = torch.meshgrid(torch.arange(80.0), torch.arange(96.0), indexing="ij")
    waves = torch.stack([torch.sin(x / 7 + c) * torch.cos(y / 5 - 2 * c) for c in range(3)]) * 0.4 + 0.5
    coarse = torch.nn.functional.avg_pool2d(waves[None], 9, 1, 4)[0]
    changed = torch.stack([waves.roll(2, 2), coarse, (waves + 0.2 * torch.sin(x * y)).clamp(0, 1)])
    return waves.expand(3, -1, -1, -1), changed


def lpips_package(metric: Lpips, weights: Path, monkeypatch: pytest.MonkeyPatch) -> torch.nn.Module:
    """The lpips package's network; torchvision, which it only takes AlexNet from, is stood in for."""
    convolutions, _ = read_weights(weights)
    layers: list[torch.nn.Module] = []
    for i, (kernel, bias) in enumerate(convolutions):
        conv = torch.nn.Conv2d(
            kernel.shape[1],
            kernel.shape[0],
            kernel.shape[2],
            *((4, 2), (1, 2), (1, 1))[min(i, 2)],
        )
        conv.load_state_dict({"weight": kernel, "bias": bias})
        layers += [conv, torch.nn.ReLU()] + ([torch.nn.MaxPool2d(3, 2)] if i in (0, 1, 4) else [])
    alexnet = types.SimpleNamespace(features=torch.nn.Sequential(*layers))
    models = types.ModuleType("torchvision.models")
    models.alexnet = lambda pretrained=True: alexnet  # type: ignore[attr-defined]
    vision = types.ModuleType("torchvision")
    vision.models = models  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchvision", vision)
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    package = pytest.importorskip(
        "lpips",
        reason="LPIPS IS NOT COMPARED: the package lpips 0.1.4 is not installed",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return package.LPIPS(net="alex", verbose=False)


def test_equals_the_lpips_package(metric: Lpips, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = lpips_package(metric, weights, monkeypatch)
    _, linear = read_weights(weights)
    for ours, layer in zip(linear, theirs.lins, strict=True):
        their_weight = dict(layer.named_parameters())["model.1.weight"].detach().flatten()
        torch.testing.assert_close(ours, their_weight, rtol=0, atol=0)
    noise = torch.Generator().manual_seed(4)
    a, b = (
        torch.rand(2, 3, 64, 70, generator=noise),
        torch.rand(2, 3, 64, 70, generator=noise),
    )
    for x, y in (pairs(), (a, b), (a, a * 0.9), (torch.zeros_like(a), b)):
        with torch.no_grad():
            expected = theirs(x, y, normalize=True).flatten()
            torch.testing.assert_close(metric(x, y), expected, rtol=2e-5, atol=1e-6)


def test_gradient_equals_the_lpips_package(metric: Lpips, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = lpips_package(metric, weights, monkeypatch)
    target, image = pairs()
    mine, other = image.clone().requires_grad_(), image.clone().requires_grad_()
    metric(mine, target).sum().backward()
    theirs(other, target, normalize=True).sum().backward()
    scale = float(other.grad.abs().max())
    torch.testing.assert_close(mine.grad / scale, other.grad / scale, rtol=0, atol=1e-4)


def test_golden_values(metric: Lpips) -> None:
    np.testing.assert_allclose(metric(*pairs()).numpy(), GOLDEN, rtol=1e-4)


def test_is_a_distance(metric: Lpips) -> None:
    a, b = pairs()
    assert float(metric(a, a).abs().max()) == 0.0
    torch.testing.assert_close(metric(a, b), metric(b, a))
    assert bool((metric(a, b) > 0).all())


def test_one_target_serves_many_renders(metric: Lpips) -> None:
    a, b = pairs()
    many = metric.distance(metric.features(b), metric.features(a[:1]))
    torch.testing.assert_close(many, metric(b, a))


def test_nothing_trains_and_flat_images_have_finite_gradients(metric: Lpips) -> None:
    assert not list(metric.parameters())
    image = torch.zeros(1, 3, 64, 64, requires_grad=True)
    metric(image, torch.ones(1, 3, 64, 64)).sum().backward()
    assert bool(image.grad.isfinite().all())


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 1, 64, 64), (1, 3, 34, 64)])
def test_shapes_are_checked(metric: Lpips, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="images must be"):
        metric.features(torch.zeros(shape))


class _Evil:
    def __reduce__(self) -> tuple:
        return (open, ("evil.txt", "w"))


def test_a_pickle_that_names_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.ckpt").write_bytes(pickle.dumps({"AlexNet_0": _Evil()}))
    with pytest.raises(AssetError, match="it names"):
        read_weights(tmp_path / "evil.ckpt")
    assert not (tmp_path / "evil.txt").exists()


def test_other_arrays_are_refused(tmp_path: Path) -> None:
    layer = {
        "kernel": np.zeros((3, 3, 3, 3), np.float32),
        "bias": np.zeros(3, np.float32),
    }
    for tree in (
        {"AlexNet_0": {"Conv_0": layer}},
        {"AlexNet_0": {}},
        [],
        np.array([object()]),
        np.array(["text"]),
    ):
        (tmp_path / "other.ckpt").write_bytes(pickle.dumps(tree, protocol=3))
        with pytest.raises(AssetError):
            read_weights(tmp_path / "other.ckpt")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 255))
def test_damaged_files_are_refused(tmp_path_factory: pytest.TempPathFactory, junk: bytes, at: int, value: int) -> None:
    stream = io.BytesIO()
    pickle.Pickler(stream, protocol=3).dump({"AlexNet_0": {"Conv_0": {"kernel": np.zeros((11, 11), np.float32)}}})
    data = bytearray(stream.getvalue())
    data[at % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "damaged.ckpt"
    for content in (junk, bytes(data), bytes(data[:at])):
        path.write_bytes(content)
        with pytest.raises(AssetError):
            read_weights(path)
