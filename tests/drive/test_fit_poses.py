"""Poses fitted to pictures bring an avatar that was shifted back to where it was."""

from __future__ import annotations

import dataclasses

import numpy as np

from splatalk import avatar as avatars
from splatalk.drive.fit_poses import fit_poses
from splatalk.drive.from_capture import from_capture
from splatalk.drive.play import play


class Rendered:
    """A recording that is the avatar itself, so that the right pose is known."""

    def __init__(self, pictures):
        self.pictures = pictures

    def frame(self, i):
        return self.pictures[i]


def test_a_shift_of_three_millimetres_is_found(tiny_avatar_path, sample_capture):
    avatar = avatars.load(tiny_avatar_path)
    truth = from_capture(avatar, sample_capture, sample_capture.test_frames()[:2], mouth="expression")
    recording = Rendered(list(play(avatar, truth)))
    head, torso = truth.head_pose.copy(), truth.torso_pose.copy()
    head[:, 0, 3] += 0.003
    torso[:, 1, 3] -= 0.003
    wrong = dataclasses.replace(truth, head_pose=head, torso_pose=torso)
    fitted = fit_poses(avatar, recording, wrong, np.arange(2))
    for name in ("head_pose", "torso_pose"):
        before = np.abs(getattr(wrong, name) - getattr(truth, name))[:, :2, 3].max()
        after = np.abs(getattr(fitted, name) - getattr(truth, name))[:, :2, 3].max()
        assert after < 0.5 * before, (name, before, after)
