"""One self-contained page that plays a performance: player, avatar, track and sound. It opens from disk, offline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from splatalk import files
from splatalk.avatar.controls import Performance
from splatalk.avatar.model import Avatar
from splatalk.errors import UserError
from splatalk.export.compact import distilled, export_steps, to_bytes
from splatalk.export.player import bundle
from splatalk.export.sound import Sound

SUFFIXES = (".html", ".htm")


def write_html(
    path: Path,
    avatar: Avatar,
    performance: Performance | None,
    sound: Sound | None,
    step: Callable[[int], object] = lambda n: None,
) -> dict[str, Any]:
    """Write the page; it appears when it is complete.

    Args:
        path: ends in ``.html``; its stem is the page's title.
        performance: what it plays; None writes a page in which the person can only be looked at.
        sound: in its own quality, or None.
        step: of ``progress.bar("Exporting", html_steps(avatar, performance))``.

    Returns:
        facts for a report: ``bytes``, ``frames``, ``seconds``, ``gaussians``, ``coefficients``, ``psnr_db`` (against
        the full avatar), ``player_bytes``, ``avatar_bytes``.

    Raises:
        UserError: another suffix, the player is not built, or the file cannot be written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path} does not end in .html.", "Name the page something.html.")
    player = bundle()  # before the long work, so that a missing player is told at once
    compact, track, encoded = distilled(avatar, performance, sound, step)
    payload = to_bytes(compact, track, encoded)
    page = player.page(payload, path.stem.replace("_", " ")).encode()
    with files.atomic_path(path) as temporary:
        temporary.write_bytes(page)
    n_frames = 0 if track is None else len(track)
    return {
        "bytes": len(page),
        "frames": n_frames,
        "seconds": round(n_frames / compact.fps, 3),
        "gaussians": compact.n_gaussians,
        "coefficients": compact.n_coefficients,
        "psnr_db": compact.error["psnr_db"],
        "player_bytes": len(player.js) + len(player.css),
        "avatar_bytes": len(payload),
    }


def html_steps(avatar: Avatar, performance: Performance | None) -> int:
    """The total of the progress bar for ``write_html``."""
    return export_steps(avatar, performance)
