"""The avatar: canonical Gaussians, the network that moves them, the rig, the ``.avatar`` file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from splatalk.avatar.model import Avatar


def load(path: str | Path) -> Avatar:
    """Read an avatar from a ``.avatar`` file; see ``avatar.file.load``."""
    from pathlib import Path

    from splatalk.avatar import file

    return file.load(Path(path))


def save(avatar: Avatar, path: str | Path) -> None:
    """Write an avatar to a ``.avatar`` file; see ``avatar.file.save``."""
    from pathlib import Path

    from splatalk.avatar import file

    file.save(avatar, Path(path))
