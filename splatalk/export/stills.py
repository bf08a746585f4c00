"""An avatar at rest, without a performance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from splatalk.avatar.controls import BLENDSHAPES, Controls

if TYPE_CHECKING:
    from splatalk.avatar.model import Avatar
    from splatalk.render.splats import Splats


def rest_controls(avatar: Avatar) -> Controls:
    """Looking ahead, mouth at rest, silent."""
    return Controls(
        head_pose=avatar.rest_head,
        torso_pose=avatar.rest_torso,
        expression=np.zeros(len(BLENDSHAPES), np.float32),
        gaze=np.zeros(4, np.float32),
    )


@torch.no_grad()
def canonical_splats(avatar: Avatar) -> Splats:
    """The Gaussians in the canonical (head) frame, before the network and the rig move them."""
    return avatar.splats(None, np.eye(4), np.eye(4)).detach()
