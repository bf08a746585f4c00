"""The pictures and measurements of an unfinished capture, in parts of equal length: a long pass can be resumed."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from splatalk import files
from splatalk.capture.film import Film, FilmWriter, join
from splatalk.capture.measurements import Measurements

BATCH = 50
"""Frames in a part."""


class Parts:
    """Files ``00000.frames.mp4``, ``00000.mattes.mp4`` and, written last, ``00000.npz`` of each part.

    Args:
        folder: where they are; made when missing.
        size: (height, width) of the pictures.
        fps: frames per second.
    """

    def __init__(self, folder: Path, size: tuple[int, int], fps: float) -> None:
        self.folder, self.size, self.fps = folder, size, fps
        folder.mkdir(exist_ok=True)

    @contextlib.contextmanager
    def writers(self, index: int) -> Iterator[tuple[FilmWriter, FilmWriter]]:
        """For the frames and the mattes of a part."""
        with (
            FilmWriter(self._film(index, "frames"), self.fps) as frames,
            FilmWriter(self._film(index, "mattes"), self.fps, gray=True) as alphas,
        ):
            yield frames, alphas

    def finish(self, index: int, rows: Measurements) -> None:
        """Mark a part as complete."""
        unfinished = self.folder / "unfinished.npz"
        np.savez(unfinished, **{field.name: getattr(rows, field.name) for field in dataclasses.fields(rows)})
        unfinished.replace(self._rows(index))

    def finished(self) -> Iterator[Measurements]:
        """Rows of the parts from the start that are complete; one that is damaged ends them."""
        index = 0
        while (path := self._rows(index)).exists():
            try:
                with np.load(path, allow_pickle=False) as data:
                    rows = Measurements(**{name: data[name] for name in data.files})
            except files.DAMAGED_ARCHIVE:
                return
            yield rows
            if len(rows) < BATCH:
                return
            index += 1

    def last_frames(self, n_parts: int) -> list[np.ndarray]:
        """The last two frames of the first ``n_parts`` parts, all of them full: (H, W, 3) uint8 each."""
        if not n_parts:
            return []
        film = Film(self._film(n_parts - 1, "frames"), BATCH, self.size, self.fps)
        with contextlib.closing(film):
            return [film.rgb(BATCH - 2), film.rgb(BATCH - 1)]

    def join(self, folder: Path, n_parts: int) -> None:
        """Make one film of frames and one of mattes in ``folder``."""
        for kind in ("frames", "mattes"):
            films = [self._film(index, kind) for index in range(n_parts)]
            join([film for film in films if film.exists()], folder / f"{kind}.mp4", self.fps)

    def _film(self, index: int, kind: str) -> Path:
        return self.folder / f"{index:05d}.{kind}.mp4"

    def _rows(self, index: int) -> Path:
        return self.folder / f"{index:05d}.npz"
