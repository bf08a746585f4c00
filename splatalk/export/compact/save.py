"""A performance as one compact file: what ``splatalk export --to compact`` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from splatalk.avatar.controls import Performance
from splatalk.avatar.model import Avatar
from splatalk.export.sound import Sound
from splatalk.progress import Step


def export_compact(
    path: Path, avatar: Avatar, performance: Performance | None, sound: Sound | None, step: Step | None = None
) -> dict[str, Any]:
    """Distil, project every frame, encode the sound, write ``NAME.compact``.

    Args:
        path: ends in ``.compact``.
        performance: what it plays; None writes an avatar without a track, able to do all that it can do.
        sound: in its own quality, or None.
        step: of ``progress.bar("Exporting", export_steps(avatar, performance))``.

    Returns:
        facts for a report: ``bytes``, ``frames``, ``seconds``, ``gaussians``, ``bases``, ``psnr_db``, ``sound_bytes``.

    Raises:
        UserError: another suffix, or the file cannot be written.
    """
    raise NotImplementedError


def export_steps(avatar: Avatar, performance: Performance | None) -> int:
    """The total of the progress bar for ``export_compact``."""
    raise NotImplementedError
