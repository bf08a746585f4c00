"""A film as a folder of numbered PNG pictures with the sound and a manifest, for compositing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2
import numpy as np

from splatalk import files
from splatalk.errors import UserError
from splatalk.export.folder import finish, sequence_folder
from splatalk.export.sound import Sound

VERSION = 1


def write_pictures(
    folder: Path, frames: Iterable[np.ndarray], n_frames: int, fps: float, sound: Sound | None, facts: Mapping[str, str]
) -> int:
    """Write ``000000.png``, ``000001.png``, …, ``sound.wav`` and ``manifest.json``; the folder appears when complete.

    Args:
        folder: made or replaced; an existing one is replaced only if it holds such a sequence.
        frames: (H, W, 3) uint8 sRGB each, or (H, W, 4) with straight alpha.
        n_frames: how many they are; the room on the disk is checked with it once the first one is written.
        fps: frames per second; picture i is at i / fps seconds.
        facts: provenance, copied into the manifest.

    Returns:
        number of pictures.

    Raises:
        UserError: the folder holds something else, no frame, too little room on the disk, or it cannot be written.
    """
    with sequence_folder(folder) as temporary:
        n, shape = 0, (0, 0, 0)
        for n, frame in enumerate(frames, start=1):
            shape = frame.shape
            bgr = cv2.cvtColor(frame, cv2.COLOR_RGBA2BGRA if shape[2] == 4 else cv2.COLOR_RGB2BGR)
            _, data = cv2.imencode(".png", bgr)
            (temporary / f"{n - 1:06d}.png").write_bytes(data.tobytes())
            if n == 1:
                files.require_space(folder, data.size * (n_frames - 1))
        if n == 0:
            raise UserError(f"There is no frame to write into {folder}.", "Give a longer sound.")
        manifest = {
            "format": "splatalk-pictures", "version": VERSION, "fps": fps, "n_frames": n, "files": "%06d.png",
            "width": shape[1], "height": shape[0], "colour": "sRGB, 8 bits",
            "alpha": "straight" if shape[2] == 4 else None, **facts,
        }  # fmt: skip
        finish(temporary, manifest, sound)
    return n
