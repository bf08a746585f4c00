"""Still images, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from splatalk import files
from splatalk.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_OPTIONS = {
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, 95],
}


def write_image(path: Path, image: np.ndarray) -> None:
    """Write ``image`` (H, W, 3) or (H, W, 4) uint8 RGB(A) in the format that the suffix of ``path`` names.

    Raises:
        UserError: unknown suffix, or the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"{path} has no suffix of a picture.", f"Use one of {', '.join(SUFFIXES)}.")
    bgr = cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA if image.shape[2] == 4 else cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(suffix, bgr, _OPTIONS.get(suffix, []))
    with files.atomic_path(path) as temporary:
        temporary.write_bytes(data.tobytes())
