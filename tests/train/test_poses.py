"""Pose refinement: rigid, zero at first, smooth between knots, and the linear part reaches frames never trained on."""

import pytest
import torch

from splatalk.avatar.rig import corrected
from splatalk.train.poses import PoseRefinement, pose_spacing


def test_nothing_is_corrected_at_first():
    refinement = PoseRefinement(torch.randn(50, 7), 4)
    assert (refinement.correction(13) == 0).all()


def test_residual_is_interpolated_between_knots_and_can_be_left_out():
    refinement = PoseRefinement(torch.zeros(9, 2), 4)
    with torch.no_grad():
        refinement.residual[1] = 1.0
        refinement.residual[2] = 3.0
    values = [refinement.correction(f)[0, 0].item() for f in range(4, 9)]
    assert values == pytest.approx([1.0, 1.5, 2.0, 2.5, 3.0])
    assert (refinement.correction(5, residual=False) == 0).all()


def test_every_frame_has_its_two_knots():
    for frames in (1, 5, 8, 9):
        refinement = PoseRefinement(torch.zeros(frames, 2), 4)
        assert refinement.correction(frames - 1).shape == (2, 6)


def test_a_correction_is_rigid_and_turns_about_the_pose_itself():
    pose = torch.eye(4)
    pose[:3, 3] = torch.tensor([0.1, 0.2, 0.6])
    moved = corrected(pose, torch.tensor([0.0, 0.1, 0.0, 0.0, 0.0, 0.003]))
    torch.testing.assert_close(moved[:3, :3] @ moved[:3, :3].T, torch.eye(3))
    torch.testing.assert_close(moved[:3, 3], torch.tensor([0.1, 0.2, 0.603]))
    assert moved[0, 2].item() == pytest.approx(0.0998, abs=1e-4)


def test_long_recordings_get_wider_knots():
    assert pose_spacing(6000, 180) == 1
    assert pose_spacing(6000, 4000) == 13
