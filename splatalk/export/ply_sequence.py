"""A Performance as a folder of posed PLY files with its sound and a manifest."""

from __future__ import annotations

from pathlib import Path

from splatalk import files
from splatalk.errors import UserError
from splatalk.export.axes import stated
from splatalk.export.clip import Clip
from splatalk.export.folder import finish, sequence_folder
from splatalk.export.ply import write_ply

VERSION = 1


def write_ply_sequence(folder: Path, clip: Clip) -> int:
    """Write ``000000.ply``, ``000001.ply``, …, ``sound.wav`` and ``manifest.json``; the folder appears when complete.

    Args:
        folder: made or replaced; an existing one is replaced only if it holds such a sequence.

    Returns:
        number of frames.

    Raises:
        UserError: the folder holds something else, no frame, too little room on the disk, or it cannot be written.
    """
    with sequence_folder(folder) as temporary:
        n = gaussians = 0
        for n, splats in enumerate(clip.frames, start=1):
            gaussians = len(splats)
            file = temporary / f"{n - 1:06d}.ply"
            write_ply(file, splats, clip.facts)
            if n == 1:
                files.require_space(folder, file.stat().st_size * (clip.n_frames - 1))
            clip.step()
        if n == 0:
            raise UserError(f"There is no frame to write into {folder}.", "Give a longer sound.")
        manifest = {
            "format": "splatalk-ply-sequence", "version": VERSION, "fps": clip.fps, "n_frames": n,
            "n_gaussians": gaussians, "files": "%06d.ply",
            **stated(clip.facts, y_up=False, quaternions="wxyz"),
        }  # fmt: skip
        finish(temporary, manifest, clip.sound)
    return n
