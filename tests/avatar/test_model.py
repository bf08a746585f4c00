"""A posed avatar: controls move what they should."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from splatalk import avatar as avatars
from splatalk.drive.from_audio import from_audio
from splatalk.drive.from_capture import from_capture
from splatalk.drive.play import play


@pytest.fixture(scope="module")
def avatar(tiny_avatar_path):
    return avatars.load(tiny_avatar_path)


@pytest.fixture(scope="module")
def recorded(avatar, sample_capture):
    return from_capture(avatar, sample_capture, sample_capture.test_frames(), mouth="both")


def test_head_pose_moves_the_head_and_not_the_torso(avatar, recorded):
    controls = recorded.frame(0)
    moved = dataclasses.replace(controls, head_pose=controls.head_pose.copy())
    moved.head_pose[:3, 3] += (0.05, 0.0, 0.0)
    shift = (avatar.pose(moved).means - avatar.pose(controls).means)[:, 0]
    weight = avatar.gaussians.bone_logits.sigmoid()
    assert shift[weight > 0.99].mean() == pytest.approx(0.05, abs=5e-3)
    still = (weight < 0.01) & ~avatar.gaussians.dynamic
    assert shift[still].abs().max() < 1e-3


def test_mouth_coefficients_move_the_lips(avatar, recorded):
    controls = recorded.frame(0)
    controls.speech = None
    a = avatar.pose(dataclasses.replace(controls, mouth=np.zeros(avatar.mouth_basis.n_components, np.float32)))
    wide = 2 * np.eye(avatar.mouth_basis.n_components, dtype=np.float32)[0]
    b = avatar.pose(dataclasses.replace(controls, mouth=wide))
    assert (a.means - b.means).norm(dim=1).max() > 5e-4


def test_sound_alone_moves_the_mouth_and_is_repeatable(avatar, sample_capture):
    performance = from_audio(avatar, sample_capture.audio[: 2 * 16000], head="still", seed=3)
    assert len(performance) == 50 and performance.mouth is None
    means = torch.stack([avatar.pose(performance.frame(i)).means for i in (5, 15, 25, 35)])
    assert (means[1:] - means[:-1]).norm(dim=-1).amax() > 1e-4
    again = from_audio(avatar, sample_capture.audio[: 2 * 16000], head="still", seed=3)
    assert torch.equal(avatar.pose(again.frame(15)).means, means[1])


def test_played_frames_are_pictures_of_the_asked_size(avatar, recorded):
    frames = list(play(avatar, recorded.select(np.arange(2)), size=(96, 64), background="#ff0000"))
    assert len(frames) == 2 and frames[0].shape == (64, 96, 3) and frames[0].dtype == np.uint8
    assert tuple(frames[0][0, 0]) == (255, 0, 0)


def test_corrected_poses_are_rigid(recorded):
    for pose in (*recorded.head_pose, *recorded.torso_pose):
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-4)
        np.testing.assert_allclose(pose[3], [0, 0, 0, 1], atol=1e-7)
