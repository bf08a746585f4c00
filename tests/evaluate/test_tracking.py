"""The tracker as the evaluation uses it: one picture at a time, NaN where there is no face."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from splatalk import assets
from splatalk.errors import AssetError
from splatalk.evaluate.tracking import track_faces

SAMPLE = Path(__file__).resolve().parents[2] / "captures" / "ada_sample.mp4"


@pytest.fixture(scope="module")
def frame() -> np.ndarray:
    """The first picture of the sample recording."""
    try:
        assets.fetch("face_landmarker")
    except AssetError as e:
        pytest.skip(f"FACE TRACKING IS NOT TESTED: {e}")
    done, image = cv2.VideoCapture(str(SAMPLE)).read()
    assert done, f"{SAMPLE} cannot be read"
    return image[..., ::-1]


def test_landmarks_follow_the_picture_and_blank_pictures_have_none(frame: np.ndarray) -> None:
    moved = np.roll(frame, (10, 14), axis=(0, 1))
    steps: list[int] = []
    faces = track_faces([frame, np.zeros_like(frame), moved], lambda: steps.append(1))
    assert faces.found.tolist() == [True, False, True] and len(steps) == 3
    shift = np.median(faces.landmarks[2] - faces.landmarks[0], axis=0)
    np.testing.assert_allclose(shift, (14, 10), atol=1.0)
    assert np.isnan(faces.opening()[1]) and np.isnan(faces.blendshapes[1]).all()
    assert 0 <= faces.opening()[0] < 0.5
    assert faces.opening()[2] == pytest.approx(faces.opening()[0], abs=0.02)
