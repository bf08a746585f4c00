"""The Gaussians of an avatar in its own frame, without a performance; and what every export tells about itself."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import splatalk
from splatalk import consent
from splatalk.export.axes import camera_fact

if TYPE_CHECKING:
    from splatalk.avatar.model import Avatar
    from splatalk.render.splats import Splats

CANONICAL = "canonical: the head's own frame, the face looking along -z (y down) or +z (y up)"
WORLD = "world: the capture camera at the origin"


@torch.no_grad()
def canonical_splats(avatar: Avatar) -> Splats:
    """The Gaussians in the canonical (head) frame, before the network and the rig move them."""
    return avatar.splats(None, np.eye(4), np.eye(4)).detach()


def provenance(avatar: Avatar) -> dict[str, str]:
    """What an export says about where it comes from: program, source recording, consent."""
    meta: dict[str, Any] = avatar.meta
    source = meta.get("source") or {}
    recording = source.get("name") or source.get("file") or "unknown" if isinstance(source, dict) else str(source)
    return {
        "generator": f"splatalk {splatalk.__version__}",
        "synthetic": "computer-generated avatar of a person",
        "recording": str(recording),
        "enrolled": str(meta.get("created", "unknown")),
        "consent": consent.sentence(meta.get("consent")),
    }


def scene_facts(avatar: Avatar, *, posed: bool) -> dict[str, str]:
    """Provenance, which frame the Gaussians are in, and the capture camera as it stands in that frame.

    Args:
        posed: in the world, as a performance poses them; otherwise canonical.
    """
    camera = avatar.camera
    if not posed:
        from_head = camera.world_to_camera @ np.asarray(avatar.rest_head, dtype=np.float64)
        camera = dataclasses.replace(camera, world_to_camera=from_head)
    return {**provenance(avatar), "frame": WORLD if posed else CANONICAL, "camera": camera_fact(camera)}
