"""The background picture in a compact file."""

from __future__ import annotations

import cv2
import numpy as np

from splatalk.errors import FormatError
from splatalk.export.compact.model import Plate

JPEG_QUALITY = 92


def encode_plate(picture: np.ndarray) -> Plate:
    """(H, W, 3) uint8 RGB as JPEG, which every browser reads."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return Plate(data.tobytes(), "image/jpeg", picture.shape[1], picture.shape[0])


def decode_plate(plate: Plate) -> np.ndarray:
    """(H, W, 3) uint8 RGB.

    Raises:
        FormatError: it is no picture, or of another size than it says.
    """
    data = np.frombuffer(plate.data, np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if picture is None or picture.shape[:2] != (plate.height, plate.width):
        raise FormatError("The background picture of the compact avatar is damaged.", "Export it again.")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
