"""From an avatar to a compact one: few bases instead of the network."""

from __future__ import annotations

from collections.abc import Callable

from splatalk.avatar.controls import Performance
from splatalk.avatar.model import Avatar
from splatalk.export.compact.model import Compact

TARGET_DB = 38.0
"""PSNR against the full avatar, dB, mean over frames that the bases were not made from."""
MAX_BYTES = 2_400_000
"""Gaussians and bases, before gzip: leaves room for track, sound and player in a page of 4 MB."""


def distil(
    avatar: Avatar,
    performance: Performance | None = None,
    *,
    error_db: float = TARGET_DB,
    max_bytes: int = MAX_BYTES,
    seed: int = 0,
    on_step: Callable[[int], object] = lambda n: None,
) -> Compact:
    """The compact avatar that stays within an error, with a projection for ``coefficients`` and ``track_of``.

    Args:
        performance: what it has to show; None spans all that the avatar can do (for live driving and sliders).
        error_db: least mean PSNR against the full avatar on frames held out; as many bases as that takes.
        max_bytes: most that Gaussians and bases may take before gzip, even if the error is larger then.
        seed: of the sampled states.
        on_step: called with the number of steps done, of ``distil_steps``.
    """
    raise NotImplementedError


def distil_steps(avatar: Avatar, performance: Performance | None = None) -> int:
    """How many steps ``distil`` reports: the total for a progress bar."""
    raise NotImplementedError
