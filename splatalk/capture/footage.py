"""The pictures of a capture, whichever way they are stored: frames and mattes by number."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from splatalk.capture import pictures


class Footage(Protocol):
    """Frames and mattes of a capture. Any thread may ask for any of them."""

    def frame(self, i: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""

    def gray(self, i: int) -> np.ndarray:
        """(H, W) uint8 brightness of the frame, cheaper than its colours."""

    def matte(self, i: int) -> np.ndarray:
        """(H, W) float32 0..1, 1 where the person is."""


class PictureFolders:
    """Footage of version 1: ``frames/000000.jpg`` and ``mattes/000000.png``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def frame_path(self, i: int) -> Path:
        return self.folder / "frames" / f"{i:06d}.jpg"

    def matte_path(self, i: int) -> Path:
        return self.folder / "mattes" / f"{i:06d}.png"

    def frame(self, i: int) -> np.ndarray:
        """See ``Footage``."""
        return pictures.read_rgb(self.frame_path(i))

    def gray(self, i: int) -> np.ndarray:
        """See ``Footage``."""
        return pictures.read_gray(self.frame_path(i))

    def matte(self, i: int) -> np.ndarray:
        """See ``Footage``."""
        return pictures.read_gray(self.matte_path(i)).astype(np.float32) / 255.0
