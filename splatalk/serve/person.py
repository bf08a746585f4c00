"""An avatar as a page draws it: Controls in, the few dozen numbers of a frame out."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from splatalk.avatar.controls import Controls
from splatalk.avatar.model import Avatar
from splatalk.drive.adjust import Adjust, adjusted_controls
from splatalk.export.compact import Compact, coefficients
from splatalk.export.compact.poses import pack
from splatalk.serve.messages import SetControls


class Knobs:
    """The sliders of a page, applied to Controls.

    Raises:
        UserError: a curve or an emotion of that name does not exist.
    """

    def __init__(self, wanted: SetControls) -> None:
        self.adjust = Adjust(wanted.lip_scale, wanted.expression, wanted.emotion)
        self.gaze = np.array([*wanted.gaze, *wanted.gaze], np.float32)
        self.still = wanted.head == "still"

    def applied(self, avatar: Avatar, controls: Controls) -> Controls:
        turned = dataclasses.replace(controls, gaze=controls.gaze + self.gaze)
        if self.still:
            turned = dataclasses.replace(turned, head_pose=avatar.rest_head, torso_pose=avatar.rest_torso)
        return adjusted_controls(avatar, turned, self.adjust)


class Person:
    """An avatar beside its compact form.

    Args:
        avatar: computes what moves.
        compact: distilled from it; what the page has.
    """

    def __init__(self, avatar: Avatar, compact: Compact) -> None:
        self.avatar, self.compact = avatar, compact
        gaussians = avatar.gaussians
        with torch.no_grad():
            self._features = avatar.deformation.features(gaussians.means[gaussians.dynamic])

    @property
    def fps(self) -> float:
        return self.avatar.fps

    def values(self, controls: Controls, knobs: Knobs) -> np.ndarray:
        """(K + 14,) float32: coefficients, then head and torso as quaternion wxyz and translation in metres."""
        turned = knobs.applied(self.avatar, controls)
        with torch.no_grad():
            offsets = self.avatar.offsets(self.avatar.tokens(turned), self._features)
        poses = pack(np.stack((turned.head_pose, turned.torso_pose)))
        return np.concatenate((coefficients(self.compact, offsets), poses.ravel())).astype(np.float32)
