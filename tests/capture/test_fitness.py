"""Frames that would spoil solving or training are found from the pictures alone."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from splatalk.capture import fitness, framing, reasons
from splatalk.capture.decode import Crop
from splatalk.capture.faces import Face
from splatalk.capture.measurements import THUMBNAIL, Measurements
from splatalk.errors import CaptureError

N = 200
RNG = np.random.default_rng(4)
SCENE, OTHER = (
    np.kron(RNG.uniform(20, 230, (6, 6)), np.ones((4, 4))),
    np.kron(RNG.uniform(20, 230, (6, 6)), np.ones((4, 4))),
)


def rows(**changes: np.ndarray) -> Measurements:
    """N good frames with noise; ``changes`` replaces fields."""
    noise = RNG.normal(0, 4, (N, THUMBNAIL, THUMBNAIL))
    usual = {
        "landmarks": np.zeros((N, 478, 3)),
        "blendshapes": np.zeros((N, 52)),
        "found": np.ones(N, bool),
        "sharpness": RNG.uniform(9, 11, N),
        "brightness": np.full(N, 120.0),
        "clipped": np.zeros(N),
        "doubt": RNG.uniform(0.0021, 0.0031, N),
        "thumbnail": np.clip(SCENE + noise, 0, 255).astype(np.uint8),
    }
    return Measurements(**(usual | changes))


def test_good_frames_are_all_used() -> None:
    assert fitness.unfit(rows()) == {}


def test_each_fault_is_told_apart() -> None:
    good = rows()
    good.found[5] = False
    good.sharpness[30:33] = 2.0
    good.doubt[60:64] = [0.0038, 0.009, 0.007, 0.0038]  # a hand comes and goes
    good.thumbnail[100:120] = OTHER.astype(np.uint8)
    found = fitness.unfit(good)
    words = {i: found.get(i) for i in range(N)}
    assert words[5] == "no face"
    assert {words[i] for i in range(30, 33)} == {"blurred"}
    assert {words[i] for i in range(60, 64)} == {"face hidden"}
    assert {words[i] for i in range(100, 120)} == {"another shot"}
    assert len(found) == 1 + 3 + 4 + 20
    assert (reasons.encode(found, np.ones(N, bool)) != reasons.USED).sum() == 28


def test_a_shot_that_comes_back_counts_as_one() -> None:
    shown = np.array([SCENE] * 60 + [OTHER] * 80 + [SCENE] * 60)
    main = fitness.main_shot(shown.astype(np.uint8))
    assert main.tolist() == [True] * 60 + [False] * 80 + [True] * 60


def test_slow_change_is_no_cut() -> None:
    share = np.linspace(0, 1, N)[:, None, None]
    assert fitness.main_shot(((1 - share) * SCENE + share * OTHER).astype(np.uint8)).all()


def test_a_little_doubt_alone_hides_nothing() -> None:
    doubt = np.full(50, 0.0025)
    doubt[10:20] = 0.0039
    assert not fitness.hidden(doubt, 0.0025).any()
    doubt[15] = 0.006
    assert np.flatnonzero(fitness.hidden(doubt, 0.0025)).tolist() == list(range(10, 20))


def test_looking_away_is_a_matter_of_the_angle_to_the_camera() -> None:
    def pose(degrees: float) -> np.ndarray:
        out, a = np.eye(4), np.radians(degrees)
        out[:3, :3] = [[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]]
        out[:3, 3] = (0.0, 0.0, 1.0)
        return out

    poses = np.stack([pose(0), pose(45), pose(-45), pose(60), pose(-60), pose(170)])
    assert fitness.looking_away(poses).tolist() == [False, False, False, True, True, True]


def test_stretches_name_time_and_reason() -> None:
    told = fitness.stretches(dict.fromkeys(range(25, 50), "no face") | {75: "blurred"}, 25.0)
    assert told == "no face 1.0-2.0 s, blurred 3.0-3.0 s"
    many = dict.fromkeys(range(0, 60, 4), "blurred")
    assert "10 shorter" in fitness.stretches(many, 25.0)


def face(x: float, y: float, size: float) -> Face:
    landmarks = np.zeros((478, 3))
    landmarks[1::2, 0], landmarks[::3, 1] = size, size
    return Face(landmarks + np.array([x, y, 0.0]), np.zeros(52))


FACTS, SCAN = SimpleNamespace(path="clip.mp4"), Crop(0, 0, 1000, 500, 1000, 500)


def choose(seen: list[list[Face]], person: int | None = None) -> list[Face]:
    return framing._choose_person(seen, FACTS, SCAN, person)  # type: ignore[arg-type]


def test_a_clearly_larger_face_is_taken() -> None:
    seen = [[face(500 + 2 * k, 100, 200), face(100, 50, 60)] for k in range(20)]
    assert all(f.size == 200 for f in choose(seen))
    assert all(f.size == 60 for f in choose(seen, person=1))


def test_somebody_who_passes_by_does_not_matter() -> None:
    seen = [[face(500, 100, 200)] + ([face(60 * k, 90, 220)] if k < 3 else []) for k in range(20)]
    assert len(choose(seen)) == 20


def test_two_alike_need_a_choice_and_are_told_by_place() -> None:
    seen = [[face(100, 100, 150), face(600, 110, 140)] for _ in range(20)]
    seen[4] = seen[4][1:]  # one is missed once: counting from the left in each picture would mix them up
    with pytest.raises(CaptureError) as caught:
        choose(seen)
    assert "person 1 at 18%" in caught.value.message and "person 2 at 67%" in caught.value.message
    assert {f.size for f in choose(seen, person=2)} == {140.0} and len(choose(seen, person=1)) == 19
    with pytest.raises(CaptureError, match="no person 3"):
        choose(seen, person=3)
