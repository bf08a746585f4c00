"""Where head and torso are in recorded frames, by making the avatar fall onto the picture.

A landmark tracker is off by a degree or a millimetre; for frames that were trained on, training corrects that. For
other frames of the same recording the same correction is found here: twelve numbers a frame move, the avatar stays.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch

from splatalk import progress
from splatalk.avatar.controls import Performance
from splatalk.avatar.model import Avatar
from splatalk.avatar.rig import corrected
from splatalk.capture.dataset import Capture
from splatalk.drive.from_capture import from_capture
from splatalk.render.rasterize import rasterize

STEPS, RATE = 24, 1.5e-3
"""Adam steps a frame, and radians and metres a step."""


def fit_poses(
    avatar: Avatar,
    capture: Capture,
    performance: Performance,
    frames: np.ndarray,
    on_frame: Callable[[], object] = lambda: None,
) -> Performance:
    """The performance with head and torso poses refined on the recorded pictures.

    Args:
        performance: controls of ``frames`` with the mouth as tracked, so that it does not disturb the fit.
        frames: (M,) frame numbers in ``capture``.
        on_frame: called after each frame.
    """
    plate = torch.from_numpy(np.ascontiguousarray(avatar.plate)).float() / 255.0
    gaussians = avatar.gaussians
    with torch.no_grad():
        features = avatar.deformation.features(gaussians.means[gaussians.dynamic])
    fitted = []
    for k, frame in enumerate(frames):
        controls = performance.frame(k)
        with torch.no_grad():
            motion = avatar.motion(avatar.tokens(controls), features)
        picture = torch.from_numpy(capture.frame(int(frame))).float() / 255.0
        bones = [torch.as_tensor(p, dtype=torch.float32) for p in (controls.head_pose, controls.torso_pose)]
        change = torch.zeros(2, 6, requires_grad=True)
        optimizer = torch.optim.Adam([change])
        for step in range(STEPS):
            optimizer.param_groups[0]["lr"] = RATE * (1.0 - step / STEPS)
            splats = avatar.splats(motion, *(corrected(b, c) for b, c in zip(bones, change, strict=True)))
            drawn = rasterize(splats, avatar.camera, plate)
            optimizer.zero_grad()
            (drawn.image - picture).abs().mean().backward()
            optimizer.step()
        fitted.append([corrected(b, c).detach().double().numpy() for b, c in zip(bones, change, strict=True)])
        on_frame()
    head, torso = (np.stack([f[bone] for f in fitted]) for bone in (0, 1))
    return dataclasses.replace(performance, head_pose=head, torso_pose=torso)


def with_fitted_poses(avatar: Avatar, capture: Capture, frames: np.ndarray, performance: Performance) -> Performance:
    """``performance`` of ``frames`` with poses found while the mouth is as tracked: wrong lips do not push the head."""
    as_recorded = from_capture(avatar, capture, frames, mouth="expression")
    with progress.bar("Refining poses of held-out frames", len(frames)) as step:
        fitted = fit_poses(avatar, capture, as_recorded, frames, on_frame=step)
    return dataclasses.replace(performance, head_pose=fitted.head_pose, torso_pose=fitted.torso_pose)
