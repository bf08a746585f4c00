"""Pictures for the report: recording, avatar and difference side by side; a strip of mouths."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

DIFFERENCE_GAIN = 8
QUALITY = 88


@dataclasses.dataclass(frozen=True)
class Picture:
    """An encoded picture of the report.

    Args:
        name: file name without suffix.
        caption: one line for the reader.
        jpeg: the encoded picture.
        width, height: its size, pixels.
    """

    name: str
    caption: str
    jpeg: bytes
    width: int
    height: int


def picture(name: str, caption: str, image: np.ndarray) -> Picture:
    """Encode an (H, W, 3) uint8 RGB image."""
    return Picture(name, caption, encode_jpeg(image, QUALITY), image.shape[1], image.shape[0])


def encode_jpeg(image: np.ndarray, quality: int) -> bytes:
    done, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"an image of {image.shape} cannot be encoded")
    return data.tobytes()


def encode_png(image: np.ndarray) -> bytes:
    done, data = cv2.imencode(".png", image[..., ::-1])
    if not done:
        raise ValueError(f"an image of {image.shape} cannot be encoded")
    return data.tobytes()


def recompressed(image: np.ndarray, quality: int) -> np.ndarray:
    """The image after a JPEG of this quality: what a little noise does to it."""
    decoded = cv2.imdecode(np.frombuffer(encode_jpeg(image, quality), np.uint8), cv2.IMREAD_COLOR_RGB)
    return np.asarray(decoded)


def side_by_side(truth: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Recording | avatar | difference times ``DIFFERENCE_GAIN``: (H, 3 W, 3) uint8."""
    difference = np.abs(image.astype(np.int16) - truth.astype(np.int16)) * DIFFERENCE_GAIN
    return np.concatenate([truth, image, np.clip(difference, 0, 255).astype(np.uint8)], axis=1)


def mouth_strip(
    truths: Sequence[np.ndarray], images: Sequence[np.ndarray], boxes: Sequence[np.ndarray], size: int = 144
) -> np.ndarray:
    """Mouths of the recording above those of the avatar: (2 size, n size, 3) uint8.

    Args:
        truths, images: n images (H, W, 3) uint8.
        boxes: n mouth boxes x0, y0, x1, y1 in pixels, square.
    """
    rows = [[_cut(image, box, size) for image, box in zip(row, boxes, strict=True)] for row in (truths, images)]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0)


def mouth_box(lips: np.ndarray) -> np.ndarray:
    """(4,) square around lip landmarks (P, 2) with room for an open mouth, pixels."""
    centre = (lips.min(axis=0) + lips.max(axis=0)) / 2
    half = 0.8 * float(np.ptp(lips[:, 0]))
    return np.concatenate([centre - half, centre + half])


def _cut(image: np.ndarray, box: np.ndarray, size: int) -> np.ndarray:
    scale = size / max(float(box[2] - box[0]), 1.0)
    # Pixel centres lie at half integers, hence the shift by half a pixel on both sides.
    move = np.array([[scale, 0, -scale * (box[0] - 0.5) - 0.5], [0, scale, -scale * (box[1] - 0.5) - 0.5]])
    return cv2.warpAffine(image, move, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
