"""Faces in rendered and recorded frames, found by the capture stage's tracker under equal conditions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

import numpy as np

from splatalk.avatar.controls import BLENDSHAPES
from splatalk.avatar.face_mesh import LIPS_INNER, LIPS_OUTER, MOUTH_CORNERS, N_LANDMARKS, mouth_opening
from splatalk.capture.faces import Face, FaceFinder
from splatalk.evaluate import motion

LIPS = (*LIPS_OUTER, *LIPS_INNER)
NO_FACE = Face(np.full((N_LANDMARKS, 3), np.nan), np.full(len(BLENDSHAPES), np.nan))


@dataclasses.dataclass
class Faces:
    """Tracked faces of N frames; NaN where none was found.

    Args:
        landmarks: (N, 478, 2) pixels.
        blendshapes: (N, 52) 0..1.
    """

    landmarks: np.ndarray
    blendshapes: np.ndarray

    @property
    def found(self) -> np.ndarray:
        """(N,) bool."""
        return np.isfinite(self.landmarks[:, 0, 0])

    def opening(self) -> np.ndarray:
        """(N,) gap of the inner lips over the distance from the top of the forehead to below the nose."""
        return mouth_opening(self.landmarks) / motion.face_height(self.landmarks)

    def width(self) -> np.ndarray:
        """(N,) distance of the mouth corners over that of the outer eye corners, which a turn foreshortens alike."""
        right, left = MOUTH_CORNERS
        corners = np.linalg.norm(self.landmarks[:, right] - self.landmarks[:, left], axis=-1)
        return np.asarray(corners / motion.eye_distance(self.landmarks))


def track_faces(images: Iterable[np.ndarray], step: Callable[[], object] | None = None) -> Faces:
    """Find the largest face in every image, each by itself: nothing is smoothed over time.

    Args:
        images: (H, W, 3) uint8 each.
        step: called after every image.

    Raises:
        AssetError: the tracker's network cannot be had.
    """
    landmarks, blendshapes = [], []
    with FaceFinder(max_faces=1) as finder:
        for image in images:
            found = finder.find(image)
            face = finder.refine(image, found[0]) if found else NO_FACE
            landmarks.append(face.landmarks[:, :2])
            blendshapes.append(face.blendshapes)
            if step is not None:
                step()
    return Faces(np.array(landmarks), np.array(blendshapes))
