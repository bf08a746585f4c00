"""How the person really says what the avatar never heard: a second film of them, or a synthetic person's truth."""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path

import numpy as np

from splatalk import files, progress
from splatalk.capture.decode import probe, read_frames
from splatalk.capture.faces import FaceFinder
from splatalk.capture.framing import look
from splatalk.errors import FormatError
from splatalk.evaluate import pictures
from splatalk.evaluate.mouth import Lips
from splatalk.evaluate.tracking import Faces, track_faces

MAX_BYTES = 256 * 2**20
LONGEST_S = 120.0
SIZE = 512
"""Longer side of the tracked frames, pixels."""
NOISE_QUALITY = 75
"""JPEG quality at which recorded frames are tracked again, to tell how much of a figure is tracking noise."""
_CORNERS = (48, 54)
"""Mouth corners among the 68 Multi-PIE landmarks."""
_HINT = "Give a film of the person saying the same, or an .npz with fps and lip_opening_cm."


@dataclasses.dataclass(frozen=True)
class Truth:
    """The true lips of N frames.

    Args:
        name: of the file.
        fps: frames per second.
        lips: opening and width.
        closed_below: opening of closed lips in the truth's own unit, or None where the range of the capture says it.
        faces: the tracked film, or None.
        again: the film re-encoded and tracked again, or None.
        height: of the film, pixels; 0 without one.
    """

    name: str
    fps: float
    lips: Lips
    closed_below: float | None = None
    faces: Faces | None = None
    again: Faces | None = None
    height: int = 0

    def at(self, fps: float) -> Truth:
        """The lips at another frame rate; a film is read at the avatar's own already."""
        if abs(fps - self.fps) < 1e-6:
            return self
        n = int(len(self.lips.opening) / self.fps * fps)
        times, known = np.arange(n) / fps, np.arange(len(self.lips.opening)) / self.fps
        moved = Lips(*(np.interp(times, known, curve) for curve in (self.lips.opening, self.lips.width)))
        return dataclasses.replace(self, fps=fps, lips=moved)


def read_truth(path: Path, fps: float) -> Truth:
    """Truth at ``fps`` from an ``.npz`` or a film, whose faces are tracked as those of a capture are.

    Raises:
        FormatError: unreadable, too long, or without the arrays. CaptureError: not a film.
    """
    return _of_arrays(path).at(fps) if path.suffix.lower() == ".npz" else _of_film(path, fps)


def _of_arrays(path: Path) -> Truth:
    """``fps`` (), ``lip_opening_cm`` (N,), 0 or less where the lips are sealed; ``landmarks68_model`` (N, 68, 3), if
    there, gives the width."""
    try:
        with zipfile.ZipFile(path) as packed:
            if sum(info.file_size for info in packed.infolist()) > MAX_BYTES:
                raise ValueError("too large")
        with np.load(path, allow_pickle=False) as data:
            fps, opening = float(data["fps"]), np.asarray(data["lip_opening_cm"], np.float64)
            points = np.asarray(data["landmarks68_model"], np.float64) if "landmarks68_model" in data else None
        n = len(opening)
        if opening.shape != (n,) or n < 2 or not 1.0 <= fps <= 240.0 or not np.isfinite(opening).all():
            raise ValueError("opening or frame rate impossible")
        if points is not None and (points.shape != (n, 68, 3) or not np.isfinite(points).all()):
            raise ValueError("landmarks impossible")
    except files.DAMAGED_ARCHIVE as error:
        raise FormatError(f"The truth in {path} cannot be read ({type(error).__name__}: {error}).", _HINT) from error
    width = np.full(n, np.nan)
    if points is not None:
        right, left = _CORNERS
        width = np.linalg.norm(points[:, left] - points[:, right], axis=-1)
    return Truth(path.name, fps, Lips(opening, width), closed_below=0.0)


def _of_film(path: Path, fps: float) -> Truth:
    facts = probe(path)
    if facts.duration > LONGEST_S:
        raise FormatError(f"{path} is longer than {LONGEST_S:g} s.", "Cut a piece out of it.")
    with FaceFinder() as finder:
        crop = look(facts, SIZE, finder).crop
    total = round(facts.duration * fps)
    with progress.bar(f"Tracking {path.name}", 2 * total) as step:
        faces = track_faces(read_frames(facts, crop, fps=fps), step)
        noisy = (pictures.recompressed(image, NOISE_QUALITY) for image in read_frames(facts, crop, fps=fps))
        again = track_faces(noisy, step)
    if not faces.found.any():
        raise FormatError(f"No face is found in {path}.", _HINT)
    return Truth(path.name, fps, Lips.of(faces), faces=faces, again=again, height=crop.out_height)
