"""A first look at the clip: is there one steady face, large enough, and which part of the picture is kept."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from splatalk.capture.decode import Crop, VideoFacts, sample_frames
from splatalk.capture.faces import Face, FaceFinder
from splatalk.errors import CaptureError

SAMPLES = 24
SCAN_SIDE = 1280
MIN_FACE = 96
"""Smallest useful face in normalised pixels."""
_FACE_SHARE = 0.36  # of the normalised picture's side, that a face should fill
_RIVAL = 0.6  # size of a second face, against the first, that makes the choice unclear
_STEADY = 0.25  # share of the samples in which a face must be seen to count
_SAME_PLACE = 1.2  # how far a face may move or grow between two samples, see ``_apart``


@dataclasses.dataclass(frozen=True)
class Framing:
    """What the first look found.

    Args:
        crop: the part of the picture that is kept.
        centre: (2,) usual place of the face in the normalised frame, pixels.
        size: usual size of the face in the normalised frame, pixels.
    """

    crop: Crop
    centre: np.ndarray
    size: float


def look(facts: VideoFacts, size: int, finder: FaceFinder, person: int | None = None) -> Framing:
    """Look at pictures spread over the clip.

    Args:
        facts: from ``decode.probe``.
        size: longer side of the normalised frame.
        person: which face to take when there are several, from the left, counting from 1.

    Raises:
        CaptureError: no face, several faces without ``person``, or a face too small.
    """
    scan = Crop.whole(facts, SCAN_SIDE)
    pictures = sample_frames(facts, scan, SAMPLES)
    seen = [find_anywhere(finder, picture) for _, picture in pictures]
    with_faces = [faces for faces in seen if faces]
    if len(with_faces) < max(1, 0.3 * len(pictures)):
        raise CaptureError(
            f"No face is found in {facts.path} (in {len(with_faces)} of {len(pictures)} pictures looked at).",
            "Record one person facing the camera, head and shoulders, in even light.",
        )
    chosen = _choose_person(with_faces, facts, scan, person)
    boxes = np.array([face.box for face in chosen]) / scan.scale
    crop = choose_crop(boxes, facts, size)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    centre = (np.median(centres, axis=0) - (crop.x, crop.y)) * crop.scale
    face_size = float(np.median((boxes[:, 2:] - boxes[:, :2]).max(axis=1))) * crop.scale
    if face_size < MIN_FACE:
        raise CaptureError(
            f"The face in {facts.path} is too small: {face_size:.0f} pixels of at least {MIN_FACE}.",
            "Move closer to the camera or record at a higher resolution.",
        )
    return Framing(crop, centre, face_size)


def choose_crop(boxes: np.ndarray, facts: VideoFacts, size: int) -> Crop:
    """One window for the whole clip.

    Pictures not larger than ``size`` stay whole. Of larger ones a square is kept in which head and shoulders have a
    natural scale and the face never leaves the picture.

    Args:
        boxes: (K, 4) faces in upright source pixels.
    """
    if max(facts.width, facts.height) <= 1.1 * size:
        return Crop.whole(facts, size)
    face = float(np.median((boxes[:, 2:] - boxes[:, :2]).max(axis=1)))
    low, high = np.percentile(boxes[:, :2], 2, axis=0), np.percentile(boxes[:, 2:], 98, axis=0)
    reach = high - low + face * np.array([1.0, 1.5])  # hair above, shoulders below
    side = max(face / _FACE_SHARE, reach.max())
    short = min(facts.width, facts.height)
    if side > 0.9 * short:
        side = short
    middle = (low + high) / 2
    x = np.clip(middle[0] - side / 2, 0, facts.width - side)
    y = np.clip(middle[1] - 0.46 * side, 0, facts.height - side)  # a little more room below than above
    out = min(size, int(side) // 2 * 2)
    return Crop(float(x), float(y), float(side), float(side), out, out)


def find_anywhere(finder: FaceFinder, picture: np.ndarray) -> list[Face]:
    """Faces in a picture; when none is found at once, also in square parts of it, where they appear larger."""
    faces = finder.find(picture)
    if faces:
        return faces
    height, width = picture.shape[:2]
    side = min(height, width) // 2
    for y in range(0, height - side + 1, max(side // 2, 1)):
        for x in range(0, width - side + 1, max(side // 2, 1)):
            part = np.ascontiguousarray(picture[y : y + side, x : x + side])
            for face in finder.find(cv2.resize(part, (512, 512), interpolation=cv2.INTER_AREA)):
                landmarks = face.landmarks * (side / 512) + np.array([x, y, 0.0])
                faces.append(Face(landmarks, face.blendshapes))
    return sorted(faces, key=lambda face: -face.size)[:1]


def people(seen: list[list[Face]]) -> list[list[Face]]:
    """Faces of pictures in order of time → the faces of each person, from the left to the right.

    A face belongs to the person whose last one was near it and of about its size.
    """
    everyone: list[list[Face]] = []
    for faces in seen:
        free = list(everyone)
        for face in faces:
            near = [person for person in free if _apart(person[-1], face) < _SAME_PLACE]
            if near:
                chosen = min(near, key=lambda person: _apart(person[-1], face))
                chosen.append(face)
                free = [person for person in free if person is not chosen]
            else:
                everyone.append([face])
    return sorted(everyone, key=lambda faces: float(np.median([face.box[0] for face in faces])))


def _apart(a: Face, b: Face) -> float:
    """Distance of two faces in sizes of the larger, plus the logarithm of the ratio of their sizes."""
    size = max(a.size, b.size, 1e-6)
    between = np.linalg.norm(a.box[:2] + a.box[2:] - b.box[:2] - b.box[2:]) / 2
    return float(between / size + abs(np.log(max(a.size, 1e-6) / max(b.size, 1e-6))))


def _choose_person(seen: list[list[Face]], facts: VideoFacts, scan: Crop, person: int | None) -> list[Face]:
    """The faces of the one to enrol: ``person`` among those seen steadily, or the one who is clearly the largest."""
    everyone = people(seen)
    steady = [faces for faces in everyone if len(faces) >= max(2, _STEADY * len(seen))] or everyone
    if person is not None:
        if not 1 <= person <= len(steady):
            raise CaptureError(
                f"There is no person {person} in {facts.path}; {_places(steady, scan)}.",
                "People are counted from the left, starting with 1.",
            )
        return steady[person - 1]
    largest = max(steady, key=_usual_size)
    rivals = [faces for faces in steady if faces is not largest and _usual_size(faces) > _RIVAL * _usual_size(largest)]
    if rivals:
        raise CaptureError(
            f"More than one face is seen in {facts.path}: {_places(steady, scan)}.",
            "Say which with --person N, counting from the left, or record one person alone.",
        )
    return largest


def _usual_size(faces: list[Face]) -> float:
    return float(np.median([face.size for face in faces]))


def _places(everyone: list[list[Face]], scan: Crop) -> str:
    """Where people are seen, in words: their number, how far from the left and from the top."""
    words = []
    for k, faces in enumerate(everyone, 1):
        x, y = np.median([(face.box[:2] + face.box[2:]) / 2 for face in faces], axis=0)
        words.append(f"person {k} at {x / scan.out_width:.0%} from the left, {y / scan.out_height:.0%} from the top")
    return "; ".join(words)
