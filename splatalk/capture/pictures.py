"""Pictures on disk."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from splatalk.errors import FormatError, UserError


def read_rgb(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB.

    Raises:
        FormatError: missing or damaged.
    """
    return np.ascontiguousarray(_decode(path, cv2.IMREAD_COLOR)[..., ::-1])


def read_gray(path: Path) -> np.ndarray:
    """(H, W) uint8.

    Raises:
        FormatError: missing or damaged.
    """
    return _decode(path, cv2.IMREAD_GRAYSCALE)


def sized(picture: np.ndarray, path: Path, size: tuple[int, int]) -> np.ndarray:
    """The picture, read from ``path``, when it has the ``size`` (height, width) that it must have.

    Raises:
        FormatError: it has another.
    """
    if picture.shape[:2] != size:
        shape = f"{picture.shape[1]}×{picture.shape[0]}, not {size[1]}×{size[0]}"
        raise FormatError(f"{path} is {shape}.", "Make the capture again.")
    return picture


def write(path: Path, picture: np.ndarray, options: tuple[int, ...] = ()) -> None:
    """Write (H, W, 3) uint8 RGB or (H, W) uint8 in the format that the suffix names.

    Raises:
        OSError: the disk is full or not writable.
    """
    ordered = picture[..., ::-1] if picture.ndim == 3 else picture
    ok, data = cv2.imencode(path.suffix, np.ascontiguousarray(ordered), list(options))
    if not ok:
        raise UserError(f"{path} cannot be written as a picture.", "Choose another size or format.")
    path.write_bytes(data.tobytes())


def _decode(path: Path, flags: int) -> np.ndarray:
    try:
        data = np.frombuffer(path.read_bytes(), dtype=np.uint8)
        picture = cv2.imdecode(data, flags) if len(data) else None
    except (OSError, cv2.error) as error:
        brief = str(error).splitlines()[0][:120]
        raise FormatError(f"{path} cannot be read ({brief}).", "Make the capture again.") from error
    if picture is None:
        raise FormatError(f"{path} is damaged.", "Make the capture again.")
    return np.asarray(picture, dtype=np.uint8)
