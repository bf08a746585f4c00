"""One avatar, every backend that runs here: the picture is that of the plain torch reference, from tokens to pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from splatalk import avatar as avatars
from splatalk.drive.from_capture import from_capture
from splatalk.drive.play import background_image
from splatalk.kernels import attention_mlp, hash_triplane, posing
from splatalk.render import backends, rasterize

RUNS_HERE = [name for name, status in backends.available().items() if status.startswith("ready") and name != "torch"]
SIZE = (160, 160)


@pytest.fixture(scope="module")
def controls(tiny_avatar_path, sample_capture):
    """An open mouth, so that the network has something to do."""
    person = avatars.load(tiny_avatar_path)
    recorded = from_capture(person, sample_capture, sample_capture.test_frames(), mouth="both")
    moved = recorded.frame(3)
    moved.mouth = moved.mouth + np.linspace(1, -1, len(moved.mouth), dtype=np.float32)
    return moved


def picture(path, controls, backend: str) -> torch.Tensor:
    person = avatars.load(path)
    camera = person.camera.resized(*SIZE)
    with torch.no_grad():
        plate = background_image(person, "plate", camera)
        return rasterize(person.pose(controls), camera, plate, backend=backend).image


@pytest.mark.parametrize("backend", RUNS_HERE)
def test_the_picture_is_that_of_the_reference(backend, tiny_avatar_path, controls, monkeypatch):
    drawn = picture(tiny_avatar_path, controls, backend)
    for module in (attention_mlp, hash_triplane, posing):
        monkeypatch.setattr(module, "native", lambda: None)
    truth = picture(tiny_avatar_path, controls, "torch")
    assert truth.std() > 0.05  # somebody is there
    assert -10 * math.log10(float((drawn - truth).square().mean()) + 1e-20) >= 50.0
