"""From the full avatar's offsets to a compact one's coefficients, fast enough for live use."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from splatalk.avatar.controls import Performance
from splatalk.avatar.model import Avatar
from splatalk.avatar.network import Offsets
from splatalk.export.compact.model import Compact, Track


def coefficients(compact: Compact, offsets: Offsets) -> np.ndarray:
    """(K,) float32: the coefficients that come closest to what the network says.

    Args:
        compact: with its projection, so from ``distil``.
        offsets: of the avatar it was distilled from (``Avatar.offsets``), all its dynamic Gaussians.
    """
    raise NotImplementedError


def track_of(
    avatar: Avatar, compact: Compact, performance: Performance, on_frame: Callable[[], object] = lambda: None
) -> Track:
    """The motion of every frame of a performance.

    Args:
        avatar: what ``compact`` was distilled from.
        on_frame: called after each frame.
    """
    raise NotImplementedError
