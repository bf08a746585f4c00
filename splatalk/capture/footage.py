"""The pictures of a capture, whichever way they are stored: frames and mattes by number."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from splatalk.capture import pictures
from splatalk.capture.film import Film
from splatalk.errors import FormatError


class Footage(Protocol):
    """Frames and mattes of a capture. Any thread may ask for any of them."""

    def frame(self, i: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""

    def gray(self, i: int) -> np.ndarray:
        """(H, W) uint8 brightness of the frame, cheaper than its colours."""

    def matte(self, i: int) -> np.ndarray:
        """(H, W) float32 0..1, 1 where the person is."""


class PictureFolders:
    """Footage of version 1: ``frames/000000.jpg`` and ``mattes/000000.png``.

    Raises:
        FormatError: a picture is missing, and when asked for one: it is damaged or of another size.
    """

    def __init__(self, folder: Path, n_frames: int, size: tuple[int, int]) -> None:
        self.folder, self.size = folder, size
        wanted = [path(i) for i in range(n_frames) for path in (self.frame_path, self.matte_path)]
        missing = [file for file in wanted if not file.is_file()]
        if missing:
            more = f" and {len(missing) - 1} more files are" if len(missing) > 1 else " is"
            raise FormatError(
                f"{missing[0]}{more} missing from the capture.", "Make the capture again with `splatalk capture`."
            )

    def frame_path(self, i: int) -> Path:
        return self.folder / "frames" / f"{i:06d}.jpg"

    def matte_path(self, i: int) -> Path:
        return self.folder / "mattes" / f"{i:06d}.png"

    def frame(self, i: int) -> np.ndarray:
        """See ``Footage``."""
        return pictures.sized(pictures.read_rgb(self.frame_path(i)), self.frame_path(i), self.size)

    def gray(self, i: int) -> np.ndarray:
        """See ``Footage``."""
        return pictures.sized(pictures.read_gray(self.frame_path(i)), self.frame_path(i), self.size)

    def matte(self, i: int) -> np.ndarray:
        """See ``Footage``."""
        alpha = pictures.sized(pictures.read_gray(self.matte_path(i)), self.matte_path(i), self.size)
        return alpha.astype(np.float32) / 255.0


class Films:
    """Footage of version 2: ``frames.mp4`` and ``mattes.mp4``.

    Args:
        folder: the capture.
        n_frames: how many frames both hold.
        size: (height, width).
        fps: frames per second.

    Raises:
        FormatError: a film is missing, damaged, or of another length or size; damage inside shows when asked for it.
    """

    def __init__(self, folder: Path, n_frames: int, size: tuple[int, int], fps: float) -> None:
        self.frames = Film(folder / "frames.mp4", n_frames, size, fps)
        self.mattes = Film(folder / "mattes.mp4", n_frames, size, fps, gray=True)

    def frame(self, i: int) -> np.ndarray:
        """See ``Footage``."""
        return self.frames.rgb(i)

    def gray(self, i: int) -> np.ndarray:
        """See ``Footage``."""
        return self.frames.gray(i)

    def matte(self, i: int) -> np.ndarray:
        """See ``Footage``."""
        return self.mattes.luma(i).astype(np.float32) / 255.0
