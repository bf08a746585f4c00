"""The first Gaussians: as many as asked, on the person, near the face at the face's depth."""

import numpy as np
import pytest
import torch

from splatalk.train.depth import depth_prior
from splatalk.train.frames import mean_face
from splatalk.train.initialise import initialise


@pytest.mark.parametrize("count", [1500, 6000])
def test_about_as_many_as_asked(sample_capture, count):
    assert 0.85 * count < len(initialise(sample_capture, count, seed=0)) < 1.15 * count


def test_they_cover_the_person_and_nothing_else(sample_capture):
    gaussians = initialise(sample_capture, 5000, seed=0)
    ref = sample_capture.tracks.reference_frame
    pose, camera = sample_capture.tracks.head_pose[ref], sample_capture.camera
    world = gaussians.means.detach().numpy() @ pose[:3, :3].T + pose[:3, 3]
    x = (camera.fx * world[:, 0] / world[:, 2] + camera.cx).astype(int).clip(0, camera.width - 1)
    y = (camera.fy * world[:, 1] / world[:, 2] + camera.cy).astype(int).clip(0, camera.height - 1)
    matte = sample_capture.matte(ref)
    assert (matte[y, x] > 0.3).mean() > 0.97
    drawn = np.zeros_like(matte)
    drawn[y, x] = 1
    blocks = matte[: camera.height // 16 * 16, : camera.width // 16 * 16].reshape(-1, 16, camera.width // 16, 16)
    hit = drawn[: camera.height // 16 * 16, : camera.width // 16 * 16].reshape(blocks.shape)
    assert (hit.max((1, 3))[blocks.min((1, 3)) > 0.9]).mean() > 0.98


def test_the_face_carries_its_own(sample_capture):
    gaussians = initialise(sample_capture, 4000, seed=0)
    surface = torch.from_numpy(mean_face(sample_capture)).float()
    on_face = gaussians.corner_weights.sum(1) > 0.999
    place = (surface[gaussians.corners] * gaussians.corner_weights[..., None]).sum(1)
    front = torch.ones(len(gaussians), dtype=torch.bool)
    front[depth_prior(sample_capture, torch.device("cpu")).look(gaussians).hidden] = False
    assert on_face[front].float().mean() > 0.3
    torch.testing.assert_close(place[on_face], gaussians.means.detach()[on_face], atol=5e-4, rtol=0)
