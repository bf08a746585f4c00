"""An avatar as a page draws it: Controls in, the few dozen numbers of a frame out."""

from __future__ import annotations

import dataclasses

import numpy as np

from splatalk.avatar.controls import Controls
from splatalk.avatar.model import Avatar
from splatalk.drive.adjust import Adjust, adjusted_controls
from splatalk.drive.conversation import Conversation
from splatalk.drive.stream import Stream
from splatalk.errors import UserError
from splatalk.export.compact import Compact
from splatalk.export.compact.poses import pack
from splatalk.export.compact.project import LiveProjector
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


class Idler:
    """Stands in for ``drive.stream.Stream`` where an avatar cannot be driven live: it only idles.

    Args:
        avatar: any.
    """

    lookahead_s = 0.0

    def __init__(self, avatar: Avatar) -> None:
        self._talk = Conversation(avatar)
        self._rest = avatar.mouth_basis.rest

    def feed(self, samples: np.ndarray) -> list[Controls]:
        return []

    def finish(self) -> list[Controls]:
        return []

    def interrupt(self) -> None:
        pass

    def overhear(self, samples: np.ndarray) -> None:
        pass

    def idle(self) -> Controls:
        return Controls(**self._talk.next(0.0, 0.0)[0], mouth=self._rest)


class Person:
    """An avatar beside its compact form.

    Args:
        avatar: computes what moves.
        compact: distilled from it; what the page has.
    """

    def __init__(self, avatar: Avatar, compact: Compact) -> None:
        self.avatar, self.compact = avatar, compact
        self._project = LiveProjector(avatar, compact)

    @property
    def name(self) -> str:
        return str(self.avatar.meta.get("name", "avatar"))

    @property
    def fps(self) -> float:
        return self.avatar.fps

    def ear(self) -> Stream | Idler:
        """Live driving for one page, as far as the avatar can do it."""
        try:
            return Stream(self.avatar)
        except UserError:
            return Idler(self.avatar)

    def values(self, controls: Controls, knobs: Knobs) -> np.ndarray:
        """(K + 14,) float32: coefficients, then head and torso as quaternion wxyz and translation in metres."""
        turned = knobs.applied(self.avatar, controls)
        poses = pack(np.stack((turned.head_pose, turned.torso_pose)))
        return np.concatenate((self._project(turned), poses.ravel())).astype(np.float32)
