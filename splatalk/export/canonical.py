"""The Gaussians of an avatar in its own frame, without a performance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import splatalk

if TYPE_CHECKING:
    from splatalk.avatar.model import Avatar
    from splatalk.render.splats import Splats


@torch.no_grad()
def canonical_splats(avatar: Avatar) -> Splats:
    """The Gaussians in the canonical (head) frame, before the network and the rig move them."""
    return avatar.splats(None, np.eye(4), np.eye(4)).detach()


def provenance(avatar: Avatar) -> dict[str, str]:
    """What an export says about where it comes from: program, source recording, consent."""
    meta: dict[str, Any] = avatar.meta
    consent = meta.get("consent") or "none recorded"
    if isinstance(consent, dict):
        consent = " ".join(str(value) for value in consent.values())
    source = meta.get("source") or {}
    recording = source.get("name") or source.get("file") or "unknown" if isinstance(source, dict) else str(source)
    return {
        "generator": f"splatalk {splatalk.__version__}",
        "synthetic": "computer-generated avatar of a person",
        "recording": str(recording),
        "enrolled": str(meta.get("created", "unknown")),
        "consent": str(consent),
    }
