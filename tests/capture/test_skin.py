"""Poses from followed skin, on a rendered ellipsoid with a solid texture whose motion is known."""

from __future__ import annotations

import numpy as np
import pytest

from splatalk.avatar.face_mesh import FACE_OVAL, FACE_TRIANGLES, N_LANDMARKS, N_SKIN
from splatalk.capture import bundle, skin, skin_flow, skin_pose
from splatalk.capture.bundle import Home, Observations, Points, Prior
from splatalk.capture.geometry import rotation_from_vector, vector_from_rotation
from splatalk.capture.pose import FaceModel, Solution
from splatalk.capture.skin import Keyframe
from splatalk.capture.smooth import choose_distance_cutoff

SIZE, FOCAL = 320, 900.0
AXES = np.array([0.075, 0.1, 0.09])  # of the ellipsoid, metres
PIVOT = np.array([0.0, 0.0, -0.06])


def texture(points: np.ndarray) -> np.ndarray:
    """(..., 3) metres → grey levels; a sum of waves in space."""
    rng = np.random.default_rng(3)
    waves, phase = rng.normal(size=(10, 3)) * 300.0, rng.uniform(0, 6.3, 10)
    return 128.0 + 26.0 * np.sin(points @ waves.T + phase).sum(axis=-1)


def picture(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """(SIZE, SIZE) uint8: the ellipsoid seen from the camera, before grey."""
    at = (np.arange(SIZE) + 0.5 - SIZE / 2) / FOCAL
    rays = np.stack([*np.meshgrid(at, at), np.ones((SIZE, SIZE))], axis=-1) @ rotation / AXES
    eye = -translation @ rotation / AXES
    a, b, c = (rays**2).sum(-1), rays @ eye, eye @ eye - 1.0
    root = b * b - a * c
    hit = root > 0
    points = (eye + ((-b - np.sqrt(np.maximum(root, 0.0))) / a)[..., None] * rays) * AXES
    grey = np.full((SIZE, SIZE), 90.0)
    grey[hit] = np.clip(texture(points[hit]), 0, 255)
    return grey.astype(np.uint8)


def face() -> np.ndarray:
    """(478, 3) the landmark mesh, spread by Tutte's embedding, on the ellipsoid's front."""
    system, right = np.zeros((N_SKIN, N_SKIN)), np.zeros((N_SKIN, 2))
    for a, b, c in FACE_TRIANGLES:
        for i, j in ((a, b), (b, c), (c, a)):
            system[i, j] = system[j, i] = -1.0
    np.fill_diagonal(system, -system.sum(axis=1))
    angle = np.linspace(0.0, 2.0 * np.pi, len(FACE_OVAL), endpoint=False)
    oval = list(FACE_OVAL)
    system[oval] = np.eye(N_SKIN)[oval]
    right[oval] = np.stack([0.055 * np.sin(angle), -0.075 * np.cos(angle)], axis=1)
    flat = np.zeros((N_LANDMARKS, 2))
    flat[:N_SKIN] = np.linalg.solve(system + 1e-9 * np.eye(N_SKIN), right)
    z = -AXES[2] * np.sqrt(1.0 - (flat[:, 0] / AXES[0]) ** 2 - (flat[:, 1] / AXES[1]) ** 2)
    return np.concatenate([flat, z[:, None]], axis=1)


def motion(n: int) -> tuple[np.ndarray, np.ndarray]:
    t = np.arange(n) / 25.0
    turn = np.stack([0.14 * np.sin(2.9 * t), 0.2 * np.sin(2.1 * t + 1), 0.05 * np.sin(1.7 * t)], axis=1)
    place = np.stack([0.01 * np.sin(2 * t), 0.006 * np.cos(3 * t), 0.8 + 0.02 * np.sin(1.5 * t)], axis=1)
    rotation = rotation_from_vector(turn)
    return rotation, place - rotation @ PIVOT


def understated(rotation: np.ndarray, translation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a landmark network makes of it: nods of 70 %, with the middle of the face where it belongs."""
    turn = vector_from_rotation(rotation) * np.array([0.7, 1.0, 1.0])
    wrong = rotation_from_vector(turn)
    return wrong, translation + rotation @ PIVOT - wrong @ PIVOT


def nod_gain(found: np.ndarray, truth: np.ndarray) -> float:
    a, b = vector_from_rotation(found)[:, 0], vector_from_rotation(truth)[:, 0]
    return float(np.polyfit(b, a, 1)[0])


def turned_wrong(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(N,) degrees between rotations, a constant one taken out."""
    constant = vector_from_rotation(np.swapaxes(truth, 1, 2) @ found)
    return np.degrees(np.linalg.norm(constant - np.median(constant, axis=0), axis=1))


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    rotation, translation = motion(90)
    return rotation, translation, [picture(r, t) for r, t in zip(rotation, translation)]


def key(scene: tuple[np.ndarray, np.ndarray, list[np.ndarray]], i: int) -> Keyframe:
    rotation, translation, pictures = scene
    return skin.make_keyframe(i, pictures[i], face(), rotation[i], translation[i], FOCAL)


def project(points: np.ndarray, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    camera = points @ rotation.T + translation
    return FOCAL * camera[:, :2] / camera[:, 2:] + SIZE / 2


def test_points_of_a_keyframe_lie_on_the_surface(scene: tuple[np.ndarray, np.ndarray, list[np.ndarray]]) -> None:
    points = key(scene, 0).on_skin
    assert len(points) > 40
    assert np.abs(np.linalg.norm(points / AXES, axis=1) - 1.0).max() < 0.03
    seen = project(points, scene[0][0], scene[1][0])
    assert np.allclose(seen, key(scene, 0).points + key(scene, 0).corner + 0.5, atol=0.01)


@pytest.mark.parametrize("wrong_deg", [0.0, 2.0])
def test_points_are_found_whatever_pose_was_thought(
    scene: tuple[np.ndarray, np.ndarray, list[np.ndarray]], wrong_deg: float
) -> None:
    rotation, translation, pictures = scene
    one = key(scene, 0)
    guess, shift = rotation_from_vector(np.radians([wrong_deg, 0.0, 0.0])) @ rotation[6], translation[6]
    tracker = skin_flow.SkinTracker([one], FOCAL, (SIZE, SIZE))
    _, seen, weight = tracker.find(pictures[6], np.array([0]), np.ones(1), guess, shift)
    error = np.linalg.norm(seen - project(one.on_skin, rotation[6], translation[6]), axis=1)
    assert (weight > 0).mean() > 0.8
    assert np.median(error[weight > 0]) < 0.2


def solution(rotation: np.ndarray, translation: np.ndarray) -> Solution:
    n = len(rotation)
    return Solution(
        FOCAL, FaceModel(face(), np.zeros((1, N_LANDMARKS, 3))), np.zeros((n, 1)), rotation, translation, np.zeros(n)
    )


def refined(pictures: list[np.ndarray], start: Solution, score: np.ndarray) -> skin_pose.SkinPoses:
    shapes = np.zeros((len(pictures), 52))
    found = skin_pose.refine(
        start, shapes, score, lambda i: pictures[i], (SIZE, SIZE), PIVOT, lambda n=1, **fields: None
    )
    assert found is not None
    return found


def test_understated_nods_are_put_right_without_lag_and_behind_a_hand(
    scene: tuple[np.ndarray, np.ndarray, list[np.ndarray]],
) -> None:
    rotation, translation, pictures = scene
    covered = [p.copy() for p in pictures]
    rng = np.random.default_rng(1)
    for i in range(40, 46):
        covered[i][SIZE // 2 :] = rng.integers(0, 255, (SIZE // 2, SIZE))  # half of the face
    covered[70] = np.full_like(covered[70], 90)  # all of it
    start = solution(*understated(rotation, translation))
    score = np.ones(90)
    score[70] = np.nan
    found = refined(covered, start, score)
    assert nod_gain(start.rotation, rotation) < 0.72
    assert nod_gain(found.rotation, rotation) > 0.93
    wrong, before = turned_wrong(found.rotation, rotation), turned_wrong(start.rotation, rotation)
    assert np.sqrt((wrong**2).mean()) < min(0.6, 0.3 * np.sqrt((before**2).mean()))
    assert wrong[40:46].max() < 1.0
    assert wrong[70] < 1.5  # landmarks, corrected by what the skin taught about them
    assert found.support[70] < 0.05 < 0.1 < found.support[41] < 0.9 < found.support[20]
    assert 0.9 < found.followed < 1.0
    nod, truth = (vector_from_rotation(r)[:, 0] for r in (found.rotation, rotation))
    fit = [np.corrcoef(nod[3 + k : 87 + k], truth[3:87])[0, 1] for k in (-1, 0, 1)]
    assert int(np.argmax(fit)) == 1


def test_a_face_without_texture_is_left_to_the_landmarks() -> None:
    rotation, translation = motion(10)
    blank = np.full((SIZE, SIZE), 120, np.uint8)
    start = solution(rotation, translation)
    nothing = skin_pose.refine(
        start, np.zeros((10, 52)), np.ones(10), lambda i: blank, (SIZE, SIZE), PIVOT, lambda n=1, **fields: None
    )
    assert nothing is None


def a_bundle(smile: float) -> tuple[Observations, Points, np.ndarray, np.ndarray, np.ndarray]:
    """60 points seen in 120 frames; half of them rise with an expression."""
    rng = np.random.default_rng(0)
    place = rng.uniform([-0.06, -0.06, -0.03], [0.06, 0.06, 0.03], (60, 3))
    rotation, translation = motion(120)
    middle = translation + rotation @ PIVOT
    term = np.sign(np.sin(np.arange(120) * 0.9))[:, None]
    soft = np.arange(60) >= 30
    moved = np.tile(place, (120, 1, 1))
    moved[:, soft, 1] -= smile * term
    camera = np.einsum("nij,npj->npi", rotation, moved) + middle[:, None]
    seen = FOCAL * camera[..., :2] / camera[..., 2:] + rng.normal(0, 0.05, (120, 60, 2))
    point, information = np.tile(np.arange(60), (120, 1)), np.tile(np.eye(2), (120, 60, 1, 1))
    basis = np.zeros((60, 1, 3))
    return Observations(point, seen, information, term), Points(place, basis), rotation, middle, soft


def test_relief_and_nods_are_found_together() -> None:
    seen, points, rotation, middle, _ = a_bundle(smile=0.0)
    flat = Points(points.place * np.array([1.0, 1.0, 1.25]), points.basis)
    wrong, _ = understated(rotation, middle)
    found, turned, _ = bundle.adjust(
        seen, flat, wrong, middle, Home(flat.place, wrong, middle), FOCAL, 0.2, Prior(point=0.01), 12
    )
    assert nod_gain(turned, rotation) == pytest.approx(1.0, abs=0.02)
    assert np.polyfit(points.place[:, 2], found.place[:, 2], 1)[0] == pytest.approx(1.0, abs=0.03)


def test_a_smile_is_no_nod() -> None:
    seen, points, rotation, middle, soft = a_bundle(smile=0.002)
    give = np.where(soft, 0.004, 0.0002)
    turned, place = rotation, middle
    stiff, _, _ = bundle.fit_frames(seen, points, rotation, middle, FOCAL, 0.4, Prior())
    for _ in range(5):
        turned, place, _ = bundle.fit_frames(seen, points, turned, place, FOCAL, 0.4, Prior(), 3)
        points = bundle.fit_expression(seen, points, turned, place, FOCAL, 0.4, give)
    before, after = (np.degrees(vector_from_rotation(r @ np.swapaxes(rotation, 1, 2))[:, 0]) for r in (stiff, turned))
    assert np.ptp(after) < 0.3 * np.ptp(before) + 0.05
    assert points.basis[soft, 0, 1].mean() == pytest.approx(-0.002, abs=0.0005)
    assert np.abs(points.basis[~soft]).max() < 0.0005


def test_expression_terms_lose_what_a_nod_explains() -> None:
    rotation, translation = motion(200)
    brow = np.sign(np.sin(np.arange(200) * 1.7))
    terms = (3.0 * vector_from_rotation(rotation)[:, 0] + 0.2 * brow)[:, None]
    free = skin_pose.free_of_pose(terms, rotation, translation)
    assert np.corrcoef(free[:, 0], brow)[0, 1] > 0.9
    assert abs(np.corrcoef(free[:, 0], vector_from_rotation(rotation)[:, 0])[0, 1]) < 0.05


def test_landmark_poses_learn_from_better_ones() -> None:
    rotation, translation = motion(300)
    wrong, place = understated(rotation, translation)
    some = np.arange(0, 150)
    found, _ = skin_pose.corrected(wrong, place, some, rotation[some], translation[some])
    assert turned_wrong(found[150:], rotation[150:]).max() < 0.35 * turned_wrong(wrong[150:], rotation[150:]).max()


def test_keyframes_are_spread_and_fade_into_each_other() -> None:
    slow = np.arange(300) / 250.0
    turn = np.stack([0.14 * np.sin(2.9 * slow), 0.2 * np.sin(2.1 * slow + 1), 0.0 * slow], axis=1)
    rotation = rotation_from_vector(turn)
    score = np.ones(300)
    score[200:] = np.nan
    chosen = skin.choose(rotation, score)
    assert 3 < len(chosen) <= skin.MOST_KEYFRAMES
    assert chosen.max() < 200
    near, weight = skin.nearest(rotation, rotation[chosen], 3)
    assert near.shape == weight.shape == (300, 3)
    for i in range(299):  # one that comes or goes between two frames has next to no weight
        for a, b in ((i, i + 1), (i + 1, i)):
            gone = ~np.isin(near[a], near[b])
            assert weight[a][gone].max(initial=0.0) < 0.2
    only, equal = skin.nearest(rotation, rotation[chosen[:2]], 3)
    assert only.shape == (300, 2)
    assert (equal == 1).all()


def test_distance_is_not_livelier_than_the_rest() -> None:
    t = np.arange(800) / 25.0
    rng = np.random.default_rng(5)
    sway = np.stack([0.01 * np.sin(2 * np.pi * 1.1 * t), 0.005 * np.sin(2 * np.pi * 0.7 * t)], axis=1)
    sway += rng.normal(0, 1e-5, sway.shape)
    real = 0.006 * np.sin(2 * np.pi * 1.1 * t + 1)[:, None]
    noise = rng.normal(0, 1, (800, 1))
    noise = 0.004 * np.convolve(noise[:, 0], np.ones(12) / 12, "same")[:, None]
    assert choose_distance_cutoff(real, sway, 25.0, 2.0) > 1.0
    assert choose_distance_cutoff(noise, 0.01 * sway, 25.0, 2.0) == 0.5  # the lowest


def test_residuals_are_those_of_the_linearised_problem() -> None:
    rng = np.random.default_rng(8)
    n, m, q, k = bundle._CHUNK + 20, 30, 12, 2
    points = bundle.Points(rng.normal(0, 0.05, (m, 3)), rng.normal(0, 0.002, (m, k, 3)))
    seen = bundle.Observations(
        rng.integers(0, m, (n, q)),
        rng.normal(0, 30, (n, q, 2)),
        np.tile(np.eye(2), (n, q, 1, 1)),
        rng.normal(size=(n, k)),
    )
    pose = rotation_from_vector(rng.normal(0, 0.1, (n, 3))), rng.normal(0, 0.02, (n, 3)) + np.array([0.0, 0.0, 0.8])
    expected = bundle.linearise(seen, points, *pose, FOCAL, 0.4).error
    assert np.allclose(bundle.residuals(seen, points, *pose, FOCAL), expected)
