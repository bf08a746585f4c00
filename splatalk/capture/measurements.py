"""What the long pass notes about every frame."""

from __future__ import annotations

import dataclasses

import numpy as np

THUMBNAIL = 24
"""Side of a thumbnail, pixels."""


@dataclasses.dataclass
class Measurements:
    """One row a frame.

    Args:
        landmarks: (N, 478, 3) pixels and relative depth; zero where no face was found.
        blendshapes: (N, 52).
        found: (N,) bool.
        sharpness: (N,) standard deviation of the Laplacian over the face, grey levels.
        brightness: (N,) mean grey level of the face, 0..255.
        clipped: (N,) share of the face's pixels at either end of the range.
        doubt: (N,) by how much several looks at the face disagree, share of its size (``faces.Face.doubt``).
        thumbnail: (N, 24, 24) uint8, the whole picture, gray, for telling shots apart.
    """

    landmarks: np.ndarray
    blendshapes: np.ndarray
    found: np.ndarray
    sharpness: np.ndarray
    brightness: np.ndarray
    clipped: np.ndarray
    doubt: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))
    thumbnail: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, THUMBNAIL, THUMBNAIL), np.uint8))

    def __len__(self) -> int:
        return len(self.found)

    @classmethod
    def joined(cls, parts: list[Measurements]) -> Measurements:
        every = [cls.none(), *parts]
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: np.concatenate([getattr(part, name) for part in every]) for name in names})

    @classmethod
    def none(cls) -> Measurements:
        """No frames."""
        return cls(np.zeros((0, 478, 3)), np.zeros((0, 52)), np.zeros(0, bool), np.zeros(0), np.zeros(0), np.zeros(0))
