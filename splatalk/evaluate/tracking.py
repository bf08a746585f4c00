"""Faces in rendered and recorded frames, found by the capture stage's tracker under equal conditions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

import numpy as np

from splatalk.avatar.controls import BLENDSHAPES
from splatalk.avatar.face_mesh import LIPS_INNER, LIPS_OUTER, N_LANDMARKS, mouth_opening
from splatalk.evaluate import motion

LIPS = (*LIPS_OUTER, *LIPS_INNER)


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


def track_faces(images: Iterable[np.ndarray], fps: float, step: Callable[[], object] | None = None) -> Faces:
    """Find the face in every image of a sequence.

    Args:
        images: (H, W, 3) uint8 each.
        fps: their rate; the tracker follows the face from frame to frame.
        step: called after every image.
    """
    landmarks, blendshapes = [], []
    import mediapipe as mp
    from splatalk import assets

    V = mp.tasks.vision
    tr = V.FaceLandmarker.create_from_options(
        V.FaceLandmarkerOptions(
            base_options=mp.tasks.BaseOptions(model_asset_path=str(assets.fetch("face_landmarker"))),
            output_face_blendshapes=True,
            running_mode=V.RunningMode.VIDEO,
        )
    )
    for i, image in enumerate(images):
        r = tr.detect_for_video(
            mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(image)), int(i * 1000 / fps)
        )
        h, w = image.shape[:2]
        if r.face_landmarks:
            landmarks.append(np.array([(p.x * w, p.y * h) for p in r.face_landmarks[0]]))
            d = {c.category_name: c.score for c in r.face_blendshapes[0]}
            blendshapes.append(np.array([d.get(n, 0.0) for n in BLENDSHAPES]))
        else:
            landmarks.append(np.full((N_LANDMARKS, 2), np.nan))
            blendshapes.append(np.full(len(BLENDSHAPES), np.nan))
        if step is not None:
            step()
    return Faces(np.array(landmarks), np.array(blendshapes))
