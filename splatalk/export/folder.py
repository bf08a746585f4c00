"""Folders of numbered files with a manifest: they appear when complete, and replace only their own kind."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from splatalk import files
from splatalk.errors import UserError
from splatalk.export.sound import Sound
from splatalk.export.wav import write_wav

MANIFEST = "manifest.json"
SOUND = "sound.wav"


@contextlib.contextmanager
def sequence_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill; it stands under its name when the block ends well, and is gone when it does not.

    Raises:
        UserError: something else is there, or it cannot be written.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file()):
        raise UserError(f"{folder} exists and is not an exported sequence.", "Choose another folder.")
    with files.atomic_path(folder) as temporary:
        temporary.mkdir()
        yield temporary


def finish(folder: Path, manifest: dict[str, Any], sound: Sound | None) -> None:
    """Add the sound and the manifest."""
    if sound is not None:
        write_wav(folder / SOUND, sound)
    told = {**manifest, "sound": None if sound is None else SOUND}
    (folder / MANIFEST).write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
