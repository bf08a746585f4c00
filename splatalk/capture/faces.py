"""Faces in one picture: 478 landmarks and 52 blendshapes, averaged over two or three views to take the jitter out.

MediaPipe's landmark network sees a crop that its own detector places; where the crop falls changes from frame to frame
and shakes the points by half a pixel. Each frame is therefore looked at again in crops (shifted, turned, mirrored)
placed by the face itself, and the answers are averaged, which removes noise without the lag of a temporal filter.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from splatalk import assets
from splatalk.avatar.controls import BLENDSHAPES
from splatalk.avatar.face_mesh import MIRROR, N_LANDMARKS, N_SKIN
from splatalk.capture.mediapipe_tasks import open_quietly, to_image

_VIEW_PIXELS = 256


@dataclasses.dataclass(frozen=True)
class View:
    """A crop around the face: side in face sizes, shift in face sizes, turn in degrees, mirrored or not."""

    side: float
    dx: float = 0.0
    dy: float = 0.0
    turn: float = 0.0
    mirrored: bool = False


VIEWS = (View(1.75, -0.03, 0.06, -3.0, True), View(2.1, 0.06, -0.05, 3.0))
"""With the face as first found, a mirror image, so that what errs to one side cancels; and another picture where those
two disagree. More looks at every frame take a tenth off the jitter and add nothing to the mouth's opening.
"""
_AGREED = 0.003  # doubt up to which two looks are enough: about a frame in ten has more


@dataclasses.dataclass(frozen=True)
class Face:
    """One face in one picture.

    Args:
        landmarks: (478, 3) pixels; the third is MediaPipe's relative depth in pixels, smaller is nearer.
        blendshapes: (52,) in the order of ``BLENDSHAPES``.
        doubt: RMS distance between the landmarks of several views, share of the face's size; 0 after a single look.
            About 0.0025 for a face that is plainly seen, two to five times that behind a hand or in motion blur, 1 when
            half of the looks or more do not find it.
    """

    landmarks: np.ndarray
    blendshapes: np.ndarray
    doubt: float = 0.0

    @property
    def box(self) -> np.ndarray:
        """(4,) x0, y0, x1, y1 in pixels around the skin landmarks."""
        points = self.landmarks[:N_SKIN, :2]
        return np.concatenate([points.min(axis=0), points.max(axis=0)])

    @property
    def size(self) -> float:
        """Longer side of the box in pixels."""
        x0, y0, x1, y1 = self.box
        return float(max(x1 - x0, y1 - y0))


class FaceFinder:
    """Finds faces in pictures. One instance a thread.

    Args:
        max_faces: how many faces ``find`` looks for.

    Raises:
        AssetError: the network's file is missing and cannot be fetched.
    """

    def __init__(self, max_faces: int = 3) -> None:
        self._many = _landmarker(max_faces)
        self._single = _landmarker(1)

    def __enter__(self) -> FaceFinder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._many.close()
        self._single.close()

    def find(self, rgb: np.ndarray) -> list[Face]:
        """All faces in a (H, W, 3) uint8 picture, largest first."""
        return sorted(_detect(self._many, rgb), key=lambda face: -face.size)

    def refine(self, rgb: np.ndarray, face: Face) -> Face:
        """The same face, averaged with what is found in ``VIEWS`` of it."""
        seen, looks = [face], 1
        for view in VIEWS:
            if len(seen) == looks > 1 and _doubt(seen) < _AGREED:
                break
            looks += 1
            found = self._look(rgb, face, view)
            seen += [] if found is None else [found]
        if len(seen) <= looks / 2:
            return dataclasses.replace(face, doubt=1.0)
        return Face(
            landmarks=np.mean([f.landmarks for f in seen], axis=0),
            blendshapes=np.mean([f.blendshapes for f in seen], axis=0),
            doubt=_doubt(seen),
        )

    def _look(self, rgb: np.ndarray, face: Face, view: View) -> Face | None:
        to_view = view_matrix(face, view)
        crop = cv2.warpAffine(
            rgb, to_view, (_VIEW_PIXELS, _VIEW_PIXELS), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        found = _detect(self._single, crop)
        return from_view(found[0], to_view, view) if found else None


def _doubt(seen: Sequence[Face]) -> float:
    """RMS distance of the skin's landmarks from their mean over the looks, shifts of a whole look left out, as a share
    of the face's size.
    """
    points = np.array([face.landmarks[:N_SKIN, :2] for face in seen])
    centred = points - points.mean(axis=1, keepdims=True)
    return float(np.sqrt(centred.var(axis=0).sum(axis=-1).mean())) / seen[0].size


def view_matrix(face: Face, view: View) -> np.ndarray:
    """(2, 3) affine map from picture pixels to the pixels of ``view``."""
    x0, y0, x1, y1 = face.box
    centre = np.array([(x0 + x1) / 2 + view.dx * face.size, (y0 + y1) / 2 + view.dy * face.size])
    scale = _VIEW_PIXELS / (view.side * face.size)
    angle = np.deg2rad(view.turn)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if view.mirrored:
        linear[0] *= -1.0
    # Pixel centres lie at integers for warpAffine and at halves here.
    shift = np.full(2, _VIEW_PIXELS / 2) - linear @ centre
    return np.concatenate([linear, (shift + linear @ np.full(2, 0.5) - 0.5)[:, None]], axis=1)


def from_view(face: Face, to_view: np.ndarray, view: View) -> Face:
    """A face found in a view, in the pixels of the picture; a mirrored one gets its own left and right back."""
    linear = to_view[:, :2]
    shift = to_view[:, 2] - linear @ np.full(2, 0.5) + 0.5
    landmarks = face.landmarks.copy()
    landmarks[:, :2] = (landmarks[:, :2] - shift) @ np.linalg.inv(linear).T
    landmarks[:, 2] /= np.sqrt(abs(np.linalg.det(linear)))
    if not view.mirrored:
        return Face(landmarks, face.blendshapes)
    return Face(landmarks[MIRROR], face.blendshapes[MIRRORED_BLENDSHAPES])


def _swap(name: str) -> str:
    for side, other in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(side):
            return name.removesuffix(side) + other
    return name


def _mirrored_name(name: str) -> str:
    return {"jawLeft": "jawRight", "jawRight": "jawLeft", "mouthLeft": "mouthRight", "mouthRight": "mouthLeft"}.get(
        name, _swap(name)
    )


MIRRORED_BLENDSHAPES = np.array([BLENDSHAPES.index(_mirrored_name(name)) for name in BLENDSHAPES])
"""(52,) the shape that each one becomes in a mirror."""


def _landmarker(max_faces: int) -> Any:
    from mediapipe.tasks.python import BaseOptions, vision

    # One image at a time: the video mode filters in time, which lags, and only when looking for a single face.
    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(assets.fetch("face_landmarker"))),
        running_mode=vision.RunningMode.IMAGE,
        num_faces=max_faces,
        output_face_blendshapes=True,
    )
    blank = np.zeros((64, 64, 3), dtype=np.uint8)
    return open_quietly(
        lambda: vision.FaceLandmarker.create_from_options(options), lambda task: task.detect(to_image(blank))
    )


def _detect(landmarker: Any, rgb: np.ndarray) -> list[Face]:
    height, width = rgb.shape[:2]
    result = landmarker.detect(to_image(rgb))
    faces = []
    for points, shapes in zip(result.face_landmarks, result.face_blendshapes):
        landmarks = np.array([(p.x, p.y, p.z) for p in points]) * (width, height, width)
        values = {shape.category_name: shape.score for shape in shapes}
        if landmarks.shape == (N_LANDMARKS, 3) and np.isfinite(landmarks).all():
            faces.append(Face(landmarks, np.array([values.get(name, 0.0) for name in BLENDSHAPES])))
    return faces
