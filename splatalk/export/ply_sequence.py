"""A Performance as a folder of posed PLY files with its sound and a manifest."""

from __future__ import annotations

import json
import wave
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from splatalk import files
from splatalk.errors import UserError
from splatalk.export.ply import AXES, UNITS, write_ply
from splatalk.render.splats import Splats

SOUND_RATE = 16_000
MANIFEST = "manifest.json"
VERSION = 1


def write_ply_sequence(
    folder: Path,
    frames: Iterable[Splats],
    n_frames: int,
    fps: float,
    audio: np.ndarray | None,
    facts: Mapping[str, str],
    on_frame: Callable[[], None] = lambda: None,
) -> int:
    """Write ``000000.ply``, ``000001.ply``, …, ``sound.wav`` and ``manifest.json``; the folder appears when complete.

    Args:
        folder: made or replaced; an existing one is replaced only if it holds such a sequence.
        frames: the posed Gaussians of each frame, in world space.
        n_frames: how many they are; the room on the disk is checked with it once the first one is written.
        fps: frames per second; frame i is at i / fps seconds.
        audio: (S,) float32, 16 kHz mono, or None.
        facts: provenance, copied into the manifest and into every file.
        on_frame: called after each frame.

    Returns:
        number of frames.

    Raises:
        UserError: the folder holds something else, no frame, or it cannot be written.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file()):
        raise UserError(f"{folder} exists and is not an exported sequence.", "Choose another folder.")
    with files.atomic_path(folder) as temporary:
        temporary.mkdir()
        n = gaussians = 0
        for n, splats in enumerate(frames, start=1):
            gaussians = len(splats)
            file = temporary / f"{n - 1:06d}.ply"
            write_ply(file, splats, facts)
            if n == 1:
                files.require_space(folder, file.stat().st_size * (n_frames - 1))
            on_frame()
        if n == 0:
            raise UserError(f"There is no frame to write into {folder}.", "Give a longer sound.")
        if audio is not None:
            _write_wav(temporary / "sound.wav", audio)
        manifest = {
            "format": "splatalk-ply-sequence",
            "version": VERSION,
            "fps": fps,
            "n_frames": n,
            "n_gaussians": gaussians,
            "files": "%06d.ply",
            "sound": None if audio is None else "sound.wav",
            "axes": AXES,
            "units": UNITS,
            "world": "the capture camera's frame",
            **facts,
        }
        (temporary / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return n


def _write_wav(path: Path, audio: np.ndarray) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SOUND_RATE)
        file.writeframes((np.clip(audio, -1, 1) * 32767).round().astype("<i2").tobytes())
