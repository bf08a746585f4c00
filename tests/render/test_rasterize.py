"""rasterize() over the backends that run here."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from splatalk.errors import BackendError
from splatalk.render import Camera, Splats, backends, rasterize


def head(n: int = 300, degree: int = 3, seed: int = 0) -> Splats:
    """A ball of Gaussians, 20 cm across, 80 cm ahead."""
    g = torch.Generator().manual_seed(seed)
    means = torch.nn.functional.normalize(torch.randn(n, 3, generator=g), dim=1) * 0.1
    means[:, 2] += 0.8
    return Splats(
        means=means,
        quats=torch.randn(n, 4, generator=g),
        scales=torch.exp(torch.randn(n, 3, generator=g) * 0.4 - 4.6),
        opacities=torch.rand(n, generator=g),
        sh=torch.randn(n, (degree + 1) ** 2, 3, generator=g) * 0.3,
    )


CAMERA = Camera(70, 50, 120.0, 118.0, 36.0, 24.0)
RUNS_HERE = [name for name, status in backends.available().items() if status.startswith("ready") and name != "torch"]


@pytest.mark.parametrize("backend", RUNS_HERE)
@pytest.mark.parametrize("degree", [0, 3])
def test_backends_agree_with_the_reference(backend, degree):
    camera = CAMERA.orbited(np.array([0.0, 0.0, 0.8]), yaw=0.4, pitch=-0.2)
    plate = torch.rand(50, 70, 3, generator=torch.Generator().manual_seed(5))
    results = []
    for name in (backend, "torch"):
        splats = head(degree=degree).map(lambda t: t.requires_grad_())
        drawn = rasterize(splats, camera, plate, backend=name)
        (drawn.image.square().sum() + drawn.alpha.sum()).backward()
        gradients = [getattr(splats, field).grad for field in ("means", "quats", "scales", "opacities", "sh")]
        results.append((drawn, [*gradients, drawn.means2d_grad]))
    (drawn, gradients), (truth, true_gradients) = results
    assert drawn.backend == backend
    assert (drawn.image.cpu() - truth.image).abs().max() < 2e-3
    assert ((drawn.radii.cpu() > 0) == (truth.radii > 0)).all()
    for gradient, true in zip(gradients, true_gradients):
        assert (gradient.cpu() - true).norm() < 1e-3 * true.norm()


@pytest.mark.parametrize("backend", [*RUNS_HERE, "torch"])
def test_means2d_grad_is_what_a_shift_of_the_picture_does(backend):
    """Moving the principal point moves every Gaussian on the screen alike."""
    weight = torch.linspace(0, 1, 70).expand(50, 70)[..., None]

    def loss(camera: Camera, splats: Splats):
        drawn = rasterize(splats, camera, backend=backend)
        return (drawn.image * weight).sum(), drawn

    splats = head(degree=0).map(lambda t: t.double() if backend == "torch" else t)
    step = 0.01
    shifted = [float(loss(Camera(70, 50, 120.0, 118.0, 36.0 + s, 24.0), splats)[0]) for s in (step, -step)]
    value, drawn = loss(CAMERA, splats.map(lambda t: t.requires_grad_()))
    value.backward()
    assert (shifted[0] - shifted[1]) / (2 * step) == pytest.approx(
        float(drawn.means2d_grad[:, 0].sum()), rel=0.06
    )  # the gradient ignores the 1/255 cut


def test_orbiting_keeps_the_centre_in_place():
    splats = head()
    for yaw in (-1.0, 0.7, math.pi):
        camera = CAMERA.orbited(np.array([0.0, 0.0, 0.8]), yaw=yaw, pitch=0.3)
        alpha = rasterize(splats, camera).alpha
        rows, columns = torch.meshgrid(torch.arange(50) + 0.5, torch.arange(70) + 0.5, indexing="ij")
        assert float((alpha * columns).sum() / alpha.sum()) == pytest.approx(36, abs=1.5)
        assert float((alpha * rows).sum() / alpha.sum()) == pytest.approx(24, abs=1.5)


def test_every_backend_says_how_it_stands():
    status = backends.available()
    assert list(status) == list(backends.NAMES)
    assert status["torch"].startswith("ready")
    assert all(text.startswith(("ready: ", "unavailable: ")) for text in status.values())


def test_auto_takes_the_fast_one_and_falls_back(monkeypatch):
    assert backends.choose() == ("cpu" if backends.available()["cpu"].startswith("ready") else "torch")
    monkeypatch.setattr(backends.kernels, "native_error", lambda: "not built")
    assert backends.choose() == "torch"
    with pytest.raises(BackendError, match="cpu backend cannot run here: not built") as error:
        backends.choose("cpu")
    assert "compiler" in error.value.hint


@pytest.mark.parametrize("name", ["cuda", "gsplat"])
def test_a_backend_that_cannot_run_is_an_error_with_a_way_out(name):
    if backends.available()[name].startswith("ready"):
        pytest.skip(f"{name} runs here")
    with pytest.raises(BackendError) as error:
        rasterize(head(10), CAMERA, backend=name)
    assert name in error.value.message and "cpu" in error.value.hint


def test_unknown_names_and_wrong_backgrounds():
    with pytest.raises(BackendError, match="no backend called 'vulkan'"):
        rasterize(head(10), CAMERA, backend="vulkan")
    with pytest.raises(ValueError, match=r"background must be \(3,\) or \(50, 70, 3\)"):
        rasterize(head(10), CAMERA, background=torch.zeros(70, 50, 3))
