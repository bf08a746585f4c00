"""Several pictures on one page, each with a line of text."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

_GAP = 6
_CAPTION = 22
_PAPER = (24, 24, 27)
_INK = (228, 228, 231)


def contact_sheet(
    pictures: Sequence[np.ndarray], captions: Sequence[str], columns: int, cell_width: int = 256
) -> np.ndarray:
    """Lay pictures out in rows.

    Args:
        pictures: (H, W, 3) uint8 RGB each, all of one size.
        captions: one short ASCII line for each.
        columns: pictures in a row.
        cell_width: width of a picture on the page, pixels.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    if not pictures or len(pictures) != len(captions):
        raise ValueError(f"contact_sheet: {len(pictures)} pictures and {len(captions)} captions")
    height = round(cell_width * pictures[0].shape[0] / pictures[0].shape[1])
    rows = math.ceil(len(pictures) / columns)
    step_x, step_y = cell_width + _GAP, height + _CAPTION + _GAP
    page = np.full((rows * step_y + _GAP, columns * step_x + _GAP, 3), _PAPER, np.uint8)
    for i, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        x, y = _GAP + (i % columns) * step_x, _GAP + (i // columns) * step_y
        page[y : y + height, x : x + cell_width] = cv2.resize(
            picture, (cell_width, height), interpolation=cv2.INTER_AREA
        )
        baseline = (x + 2, y + height + _CAPTION - 7)
        cv2.putText(page, caption, baseline, cv2.FONT_HERSHEY_SIMPLEX, 0.42, _INK, 1, cv2.LINE_AA)
    return page


class Sampler:
    """Keeps a few frames, evenly spread, of a film that passes by once.

    Args:
        n_frames: length of the film.
        count: how many to keep.
    """

    def __init__(self, n_frames: int, count: int = 12) -> None:
        middle = (np.arange(count) + 0.5) * n_frames / count
        self.wanted = sorted({int(t) for t in middle if t < n_frames})
        self.kept: list[tuple[int, np.ndarray]] = []

    def see(self, index: int, frame: np.ndarray) -> None:
        if index in self.wanted:
            self.kept.append((index, frame))

    def sheet(self, fps: float, columns: int = 4) -> np.ndarray:
        """The kept frames with their times."""
        return contact_sheet([f for _, f in self.kept], [f"{i / fps:.2f} s" for i, _ in self.kept], columns)
