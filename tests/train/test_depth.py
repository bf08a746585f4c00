"""Plausible depth: bodies are shaped like bodies, and Gaussians stay near them along the line of sight alone."""

import numpy as np
import pytest
import torch

from splatalk.avatar.face_mesh import CHIN
from splatalk.train import depth
from splatalk.train.depth import DepthPrior, body_depth, depth_prior, lifted
from splatalk.train.initialise import initialise


def at_column_of_the_chin(capture, below: float) -> float:
    """Depth behind the chin, metres, so far below it."""
    ref = capture.tracks.reference_frame
    z = body_depth(capture, capture.matte(ref))
    x, y = capture.tracks.landmarks[ref, CHIN].astype(int)
    row = y + round(below / depth.metres_per_pixel(capture))
    return float(z[row, x] - z[y - 2, x])


def test_the_throat_stands_back_under_the_chin_and_the_chest_comes_forward(sample_capture):
    throat, chest = (at_column_of_the_chin(sample_capture, below) for below in (0.04, 0.12))
    assert 0.02 < throat < 0.09
    assert chest < throat


def test_lifted_points_fall_back_on_their_pixels(sample_capture):
    pixels = np.random.default_rng(0).uniform(0, sample_capture.width, (50, 2))
    points = lifted(sample_capture, pixels, np.linspace(0.5, 1.5, 50))
    pose, c = sample_capture.tracks.head_pose[sample_capture.tracks.reference_frame], sample_capture.camera
    world = points @ pose[:3, :3].T + pose[:3, 3]
    seen = world[:, :2] / world[:, 2:] * (c.fx, c.fy) + (c.cx, c.cy)
    np.testing.assert_allclose(seen, pixels, atol=1e-3)


def test_first_gaussians_lie_on_the_prior(sample_capture):
    prior = depth_prior(sample_capture, torch.device("cpu"))
    means = initialise(sample_capture, 4000, seed=0).means.detach()
    off = means + torch.tensor([0.0, 0.0, 0.02])
    assert 4 * prior(means) < prior(off)


@pytest.fixture
def wall() -> DepthPrior:
    """A firm wall at z = 0.1 left of a guessed one at z = 0.2."""
    x, y = np.meshgrid(np.linspace(-0.1, 0.1, 101), np.linspace(-0.1, 0.1, 101))
    positions = np.stack((x, y, np.where(x < 0, 0.1, 0.2)), -1).reshape(-1, 3)
    mouth = np.random.default_rng(0).uniform(0.04, 0.06, (478, 3))
    return DepthPrior(positions, positions[:, 0] < 0, mouth, torch.device("cpu"))


def test_pulls_along_the_view_alone_and_harder_where_the_surface_was_tracked(wall):
    means = torch.tensor([[-0.05, 0.0, 0.102], [0.05, -0.05, 0.198], [-0.05, 0.0, 0.1]], requires_grad=True)
    wall(means).backward()
    assert (means.grad[:, :2] == 0).all()
    assert means.grad[0, 2] > 2 * -means.grad[1, 2] > 0
    assert means.grad[2, 2].abs() < 1e-3 * means.grad[0, 2]


def test_far_behind_is_another_layer_and_hardly_pulled(wall):
    means = torch.tensor([[-0.05, 0.0, 0.105], [-0.05, 0.0, 0.2]], requires_grad=True)
    wall(means).backward()
    assert means.grad[1, 2] < 0.2 * means.grad[0, 2]


def test_outside_of_the_person_it_stays_finite(wall):
    means = torch.tensor([[5.0, -5.0, 1.0], [-0.2, 0.3, 0.0]], requires_grad=True)
    loss = wall(means)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(means.grad).all()


def test_nothing_is_held_inside_the_mouth(wall):
    means = torch.tensor([[0.05, 0.05, 0.15]], requires_grad=True)
    wall(means).backward()
    assert (means.grad == 0).all()
