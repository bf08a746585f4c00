"""A performance as one compact file: what ``splatalk export --to compact`` does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from splatalk.avatar.controls import Performance
from splatalk.avatar.model import Avatar
from splatalk.export.compact.distillation import distil, distil_steps
from splatalk.export.compact.layout import check_suffix, write
from splatalk.export.compact.model import Compact, EncodedSound, Track
from splatalk.export.compact.project import track_of
from splatalk.export.compact.sound import encode_sound
from splatalk.export.sound import Sound


def export_compact(
    path: Path,
    avatar: Avatar,
    performance: Performance | None,
    sound: Sound | None,
    step: Callable[[int], object] = lambda n: None,
) -> dict[str, Any]:
    """Distil, project every frame, encode the sound, write ``NAME.compact``.

    Args:
        path: ends in ``.compact``.
        performance: what it plays; None writes an avatar without a track, able to do all that it can do.
        sound: in its own quality, or None.
        step: of ``progress.bar("Exporting", export_steps(avatar, performance))``.

    Returns:
        facts for a report: ``bytes``, ``frames``, ``seconds``, ``gaussians``, ``coefficients``, ``psnr_db``,
        ``sound_bytes``.

    Raises:
        UserError: another suffix, or the file cannot be written.
    """
    check_suffix(path)
    compact, track, encoded = distilled(avatar, performance, sound, step)
    size = write(path, compact, track, encoded)
    n_frames = 0 if track is None else len(track)
    return {
        "bytes": size,
        "frames": n_frames,
        "seconds": round(n_frames / compact.fps, 3),
        "gaussians": compact.n_gaussians,
        "coefficients": compact.n_coefficients,
        "psnr_db": compact.error["psnr_db"],
        "sound_bytes": 0 if encoded is None else len(encoded.data),
    }


def distilled(
    avatar: Avatar,
    performance: Performance | None,
    sound: Sound | None,
    step: Callable[[int], object] = lambda n: None,
) -> tuple[Compact, Track | None, EncodedSound | None]:
    """All that one file holds; arguments as for ``export_compact``."""
    done = 0

    def count(n: int) -> None:
        nonlocal done
        done += n
        step(n)

    compact = distil(avatar, performance, on_step=count)
    step(distil_steps(avatar, performance) - done)  # the search may have ended early
    track = None if performance is None else track_of(avatar, compact, performance, lambda: step(1))
    return compact, track, None if sound is None else encode_sound(sound)


def export_steps(avatar: Avatar, performance: Performance | None) -> int:
    """The total of the progress bar for ``export_compact``."""
    return distil_steps(avatar, performance) + (0 if performance is None else len(performance))
