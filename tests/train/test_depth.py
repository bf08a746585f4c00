"""Plausible depth: bodies are shaped like bodies, and Gaussians stay near them along the line of sight alone."""

import numpy as np
import pytest
import torch

from splatalk.avatar.face_mesh import CHIN
from splatalk.avatar.gaussians import Gaussians
from splatalk.train import depth
from splatalk.train.depth import BEFORE, LENGTH, DepthPrior, body_depth, depth_prior, lifted, shorten
from splatalk.train.initialise import initialise

BETWEEN_BROWS = 9


def at_column_of_the_chin(capture, below: float) -> float:
    """Depth behind the chin, metres, so far below it."""
    ref = capture.tracks.reference_frame
    z, _ = body_depth(capture, capture.matte(ref))
    x, y = capture.tracks.landmarks[ref, CHIN].astype(int)
    row = y + round(below / depth.metres_per_pixel(capture))
    return float(z[row, x] - z[y - 2, x])


def test_the_throat_stands_back_under_the_chin_and_the_chest_comes_forward(sample_capture):
    throat, chest = (at_column_of_the_chin(sample_capture, below) for below in (0.04, 0.12))
    assert 0.02 < throat < 0.09
    assert chest < throat


def test_the_head_is_as_deep_as_heads_are(sample_capture):
    ref = sample_capture.tracks.reference_frame
    front, back = body_depth(sample_capture, sample_capture.matte(ref))
    person = sample_capture.matte(ref) > 0.5
    assert (back[person] > front[person] - 1e-6).all()
    x, y = sample_capture.tracks.landmarks[ref, BETWEEN_BROWS].astype(int)
    assert 0.14 < back[y, x] - front[y, x] < 0.24


def test_the_back_has_the_colours_along_the_silhouette(sample_capture):
    gaussians = initialise(sample_capture, 4000, seed=0)
    prior = depth_prior(sample_capture, torch.device("cpu"))
    back = torch.zeros(len(gaussians), dtype=torch.bool)
    back[prior.look(gaussians).hidden] = True
    above = gaussians.means[:, 1] < gaussians.means[~back, 1].median() - 0.02
    assert 0.05 < back.float().mean() < 0.35
    assert not gaussians.dynamic[back].any()
    hair, face = (gaussians.sh.detach()[rows, 0].mean(dim=0) for rows in (back & above, gaussians.dynamic))
    assert (hair < face - 0.2).all()  # dark hair, light skin


def test_lifted_points_fall_back_on_their_pixels(sample_capture):
    pixels = np.random.default_rng(0).uniform(0, sample_capture.width, (50, 2))
    points = lifted(sample_capture, pixels, np.linspace(0.5, 1.5, 50))
    pose, c = sample_capture.tracks.head_pose[sample_capture.tracks.reference_frame], sample_capture.camera
    world = points @ pose[:3, :3].T + pose[:3, 3]
    seen = world[:, :2] / world[:, 2:] * (c.fx, c.fy) + (c.cx, c.cy)
    np.testing.assert_allclose(seen, pixels, atol=1e-3)


def test_first_gaussians_lie_on_the_prior(sample_capture):
    prior = depth_prior(sample_capture, torch.device("cpu"))
    gaussians = initialise(sample_capture, 4000, seed=0)
    near = penalty(prior, gaussians).item()
    with torch.no_grad():
        gaussians.means += torch.tensor([0.0, 0.0, 0.02])
    assert 4 * near < penalty(prior, gaussians).item()


@pytest.fixture
def wall() -> DepthPrior:
    """A firm wall at z = 0.1 left of a guessed one at z = 0.2, with the back at 0.5."""
    x, y = np.meshgrid(np.linspace(-0.1, 0.1, 101), np.linspace(-0.1, 0.1, 101))
    front = np.stack((x, y, np.where(x < 0, 0.1, 0.2)), -1).reshape(-1, 3)
    mouth = np.random.default_rng(0).uniform(0.04, 0.06, (478, 3))
    return DepthPrior(front, front * (1, 1, 0) + (0, 0, 0.5), front[:, 0] < 0, mouth, torch.device("cpu"))


def penalty(prior: DepthPrior, gaussians: Gaussians) -> torch.Tensor:
    return prior(gaussians.means, prior.look(gaussians))


def on_the_head(means: list[list[float]]) -> Gaussians:
    gaussians = Gaussians.empty(len(means), 1)
    with torch.no_grad():
        gaussians.means.copy_(torch.tensor(means))
        gaussians.bone_logits += 10.0
    return gaussians


def test_pulls_along_the_view_alone_and_harder_where_the_surface_was_tracked(wall):
    gaussians = on_the_head([[-0.05, 0.0, 0.102], [0.05, -0.05, 0.198], [-0.05, 0.0, 0.1]])
    penalty(wall, gaussians).backward()
    assert (gaussians.means.grad[:, :2] == 0).all()
    assert gaussians.means.grad[0, 2] > 2 * -gaussians.means.grad[1, 2] > 0
    assert gaussians.means.grad[2, 2].abs() < 1e-3 * gaussians.means.grad[0, 2]


def test_far_behind_is_another_layer_and_hardly_pulled(wall):
    gaussians = on_the_head([[-0.05, 0.0, 0.105], [-0.05, 0.0, 0.2]])
    penalty(wall, gaussians).backward()
    assert gaussians.means.grad[1, 2] < 0.2 * gaussians.means.grad[0, 2]


def test_outside_of_the_person_it_stays_finite(wall):
    gaussians = on_the_head([[5.0, -5.0, 1.0], [-0.2, 0.3, 0.0]])
    loss = penalty(wall, gaussians)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(gaussians.means.grad).all()


def test_nothing_is_held_inside_the_mouth(wall):
    gaussians = on_the_head([[0.05, 0.05, 0.15]])
    penalty(wall, gaussians).backward()
    assert (gaussians.means.grad == 0).all()


def test_the_back_is_held_at_the_back(wall):
    gaussians = on_the_head([[0.05, -0.05, 0.49], [0.05, -0.05, 0.36]])
    penalty(wall, gaussians).backward()
    assert gaussians.means.grad[0, 2] < 0 and gaussians.means.grad[1, 2] < 0
    assert wall.look(gaussians).hidden.tolist() == [0, 1]


def test_neighbours_move_the_guessed_surface_together_and_the_prior_follows(wall):
    rng = np.random.default_rng(1)
    cloud = [[0.05 + x, -0.05 + y, 0.2] for x, y in rng.uniform(-0.03, 0.03, (200, 2))]
    gaussians = on_the_head([*cloud, [-0.05, 0.0, 0.1], [0.05, -0.05, 0.5]])
    gaussians.means.grad = torch.zeros_like(gaussians.means)
    # One by one they disagree, together they say that they lie too near.
    gaussians.means.grad[:, 2] = torch.from_numpy(rng.normal(-0.5, 1.0, len(gaussians))).float()
    seen = wall.look(gaussians)
    wall.gather(gaussians.means, seen)
    before = wall.relief.detach().clone()
    with torch.no_grad():
        wall.relief -= 0.01 * torch.sign(wall.relief.grad)
    held = penalty(wall, gaussians).item()
    wall.carry(gaussians.means, seen, before)
    moved = gaussians.means.detach()[:, 2]
    assert moved[:200].mean() > 0.205
    assert moved[200] == pytest.approx(0.1, abs=1e-4)  # tracked: stays
    assert moved[201] == pytest.approx(0.5)  # the back has no part in it
    assert penalty(wall, gaussians).item() < held


def test_the_chest_does_not_take_part(wall):
    gaussians = on_the_head([[0.05, -0.05, 0.2]])
    with torch.no_grad():
        gaussians.bone_logits -= 20.0
    gaussians.means.grad = torch.ones_like(gaussians.means)
    seen = wall.look(gaussians)
    wall.gather(gaussians.means, seen)
    assert wall.relief.grad.abs().max() < 1e-3


def test_spikes_along_the_view_are_shortened_and_nothing_else():
    gaussians = on_the_head([[0.0, 0.0, 0.0]] * 3)
    turned = torch.tensor([0.5**0.5, 0.5**0.5, 0.0, 0.0])  # a quarter turn about x
    with torch.no_grad():
        gaussians.quats.copy_(torch.stack((torch.tensor([1.0, 0, 0, 0]), turned, turned)))
        gaussians.log_scales.copy_(torch.tensor([0.02, 0.02, 0.001]).log().expand(3, 3))
    gaussians.dynamic |= torch.tensor([True, True, False])
    shorten(gaussians)
    expected = torch.tensor([[0.02, 0.02, 0.001], [0.02, LENGTH, 0.001], [0.02, 0.02, 0.001]])
    torch.testing.assert_close(gaussians.log_scales.detach().exp(), expected)


def test_nothing_floats_before_the_tracked_face(wall):
    gaussians = on_the_head([[-0.05, 0.0, 0.05], [-0.05, 0.0, 0.095], [0.05, -0.05, 0.1]])
    wall.tidy(gaussians)
    torch.testing.assert_close(gaussians.means.detach()[:, 2], torch.tensor([0.1 - BEFORE, 0.095, 0.1]))
