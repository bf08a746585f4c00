"""Pose, smoothing, torso, gaze, plate and matte on problems whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from splatalk.avatar.face_mesh import (
    EYE_TRIANGLES,
    FACE_TRIANGLES,
    MIRROR,
    MOUTH_TRIANGLES,
    N_LANDMARKS,
    mouth_opening,
    rigidity,
)
from splatalk.capture import plate, pose, torso
from splatalk.capture.faces import MIRRORED_BLENDSHAPES, VIEWS, Face, from_view, view_matrix
from splatalk.capture.geometry import align, rigid, rotation_from_vector, vector_from_rotation
from splatalk.capture.matte import refine, steady
from splatalk.capture.rigid_fit import fit_poses
from splatalk.capture.smooth import choose_cutoff, fill_gaps, low_pass, smooth_poses


def test_mesh_is_a_closed_orientable_sheet() -> None:
    triangles = np.concatenate([FACE_TRIANGLES, MOUTH_TRIANGLES, EYE_TRIANGLES])
    edges = {(int(t[k]), int(t[(k + 1) % 3])) for t in triangles for k in range(3)}
    assert len(edges) == 3 * len(triangles)  # no directed edge twice: neighbours are turned alike
    assert sum((b, a) not in edges for a, b in edges) == 36  # only the outline is open
    assert np.array_equal(MIRROR[MIRROR], np.arange(N_LANDMARKS))
    assert np.array_equal(MIRRORED_BLENDSHAPES[MIRRORED_BLENDSHAPES], np.arange(52))


def test_mouth_opening_measures_the_gap() -> None:
    points = np.zeros((2, N_LANDMARKS, 3))
    points[1, [178, 87, 14, 317, 402], 1] = 0.01
    assert np.allclose(mouth_opening(points), [0.0, 0.01])


def test_rotations_round_trip() -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 3)) * 0.8
    rotations = rotation_from_vector(vectors)
    assert np.allclose(rotations @ np.swapaxes(rotations, 1, 2), np.eye(3))
    assert np.allclose(vector_from_rotation(rotations), vectors, atol=1e-6)
    poses = rigid(rotations, vectors)
    assert np.array_equal(poses[:, :3], np.concatenate([rotations, vectors[..., None]], axis=-1))
    assert (poses[:, 3] == [0, 0, 0, 1]).all()


def test_views_of_a_face_map_back_exactly() -> None:
    rng = np.random.default_rng(1)
    face = Face(np.column_stack([rng.uniform(100, 300, (478, 2)), rng.normal(size=478)]), rng.uniform(size=52))
    for view in VIEWS:
        matrix = view_matrix(face, view)
        seen = face.landmarks.copy()
        seen[:, :2] = (seen[:, :2] - 0.5) @ matrix[:, :2].T + matrix[:, 2] + 0.5
        seen[:, 2] *= np.sqrt(abs(np.linalg.det(matrix[:, :2])))
        assert seen[:, :2].min() > -60
        assert seen[:, :2].max() < 316
        shapes = face.blendshapes
        if view.mirrored:
            seen, shapes = seen[MIRROR], shapes[MIRRORED_BLENDSHAPES]
        back = from_view(Face(seen, shapes), matrix, view)
        assert np.allclose(back.landmarks, face.landmarks)
        assert np.allclose(back.blendshapes, face.blendshapes)


def a_face() -> np.ndarray:
    """(478, 3) a rounded sheet in the head frame; eye corners, forehead and chin where an average face has them."""
    rng = np.random.default_rng(5)
    across, down = rng.uniform(-0.065, 0.065, 478), rng.uniform(-0.06, 0.11, 478)
    shape = np.stack([across, down, -0.1 + 4.0 * across**2 + 2.0 * (down - 0.02) ** 2], axis=1)
    shape[33], shape[263] = (-0.04445, 0.0, -0.07), (0.04445, 0.0, -0.07)
    shape[10], shape[152] = (0.0, -0.0656, -0.07), (0.0, 0.111, -0.07)
    return shape


def a_clip(n: int = 240, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Landmarks (n, 478, 3), blendshapes, true rotations and translations of a turning, talking head at focal 900."""
    rng = np.random.default_rng(2)
    t = np.arange(n) / 25.0
    turn = np.stack([0.1 * np.sin(1.9 * t), 0.25 * np.sin(1.3 * t), 0.05 * np.sin(0.7 * t)], axis=1)
    rotation = rotation_from_vector(turn)
    translation = np.stack([0.02 * np.sin(t), 0.01 * np.cos(1.2 * t), 0.9 + 0.02 * np.sin(0.5 * t)], axis=1)
    jaw = 0.5 + 0.5 * np.sin(9.0 * t + np.sin(3.0 * t))
    shape = np.tile(a_face(), (n, 1, 1))
    mobile = rigidity() < 0.05
    shape[:, mobile, 1] += 0.012 * jaw[:, None]
    camera = np.einsum("nij,npj->npi", rotation, shape) + translation[:, None]
    pixels = 900.0 * camera[..., :2] / camera[..., 2:] + 256.0
    depth = (camera[..., 2] - camera[..., 2].mean(axis=1, keepdims=True)) * 900.0 / translation[:, None, 2]
    landmarks = np.concatenate([pixels, depth[..., None]], axis=-1) + rng.normal(0, noise, (n, 478, 3))
    shapes = np.zeros((n, 52))
    shapes[:, 24] = jaw
    return landmarks, shapes, rotation, translation


def test_solve_finds_the_poses() -> None:
    landmarks, shapes, rotation, translation = a_clip()
    landmarks[50, :120, :2] += 25.0  # a hand over a part of the face
    solution = pose.solve(landmarks, shapes, np.ones(240, bool), 512, 512, focal=900.0)
    constant = rotation[0].T @ solution.rotation[0]
    wrong = vector_from_rotation(np.swapaxes(rotation, 1, 2) @ solution.rotation @ constant.T)
    assert np.degrees(np.sqrt((wrong**2).sum(-1).mean())) < 1.0
    assert np.abs(solution.translation[:, 2] / translation[:, 2] - 1.0).max() < 0.06
    assert np.abs(np.linalg.norm(solution.model.neutral[33] - solution.model.neutral[263]) - 0.0889) < 0.006


def test_speech_does_not_nod_the_head() -> None:
    landmarks, shapes, rotation, _ = a_clip(noise=0.0)
    solution = pose.solve(landmarks, shapes, np.ones(240, bool), 512, 512, focal=900.0)
    wrong = vector_from_rotation(np.swapaxes(rotation, 1, 2) @ solution.rotation)
    assert abs(np.corrcoef(np.diff(wrong[:, 0]), np.diff(shapes[:, 24]))[0, 1]) * np.degrees(wrong[:, 0].std()) < 0.1


def test_a_face_that_fills_the_picture_means_a_longer_lens() -> None:
    landmarks, *_ = a_clip(n=20)
    near = landmarks.copy()
    near[..., :2] = (near[..., :2] - 256) * 2 + 256
    assert pose.likely_focal(near, 512) > 1.2 * pose.likely_focal(landmarks, 512)
    assert 1.0 < pose.likely_focal(landmarks, 512) / 512 < 3.0


def test_fit_poses_is_exact_without_noise() -> None:
    _, _, rotation, translation = a_clip(n=30)
    shape = a_face()
    camera = np.einsum("nij,pj->npi", rotation, shape) + translation[:, None]
    seen = 900.0 * camera[..., :2] / camera[..., 2:]
    start = np.tile(np.eye(3), (30, 1, 1)), np.tile([0.0, 0.0, 1.0], (30, 1))
    found, shift, residual = fit_poses(shape[None], seen, np.ones(478), 900.0, *start, noise=1.0, steps=25)
    assert np.allclose(found, rotation, atol=1e-5)
    assert np.allclose(shift, translation, atol=1e-5)
    assert residual.max() < 1e-3


def test_align_recovers_a_similarity() -> None:
    rng = np.random.default_rng(8)
    source = rng.normal(size=(3, 20, 3))
    rotation = rotation_from_vector(rng.normal(size=(3, 3)))
    target = 1.7 * np.einsum("nij,npj->npi", rotation, source) + np.array([1.0, 2.0, 3.0])
    scale, found, shift = align(source, target, np.ones(20))
    assert np.allclose(scale, 1.7)
    assert np.allclose(found, rotation)
    assert np.allclose(shift, [1.0, 2.0, 3.0])


def test_low_pass_has_no_lag_and_keeps_slow_motion() -> None:
    t = np.arange(400) / 25.0
    slow = np.sin(2 * np.pi * 0.5 * t)[:, None]
    noisy = slow + np.random.default_rng(4).normal(0, 0.1, slow.shape)
    smooth = low_pass(noisy, np.ones(400), 2.0, 25.0)
    assert np.abs(smooth - slow)[10:-10].max() < 0.12
    lags = [np.corrcoef(np.roll(smooth[:, 0], k)[10:-10], slow[10:-10, 0])[0, 1] for k in (-1, 0, 1)]
    assert np.argmax(lags) == 1
    half = low_pass(np.sin(2 * np.pi * 2.0 * t)[:, None], np.ones(400), 2.0, 25.0)
    assert abs(half[100:300].max() - 0.5) < 0.03


def test_cutoff_follows_the_motion() -> None:
    t = np.arange(1000) / 25.0
    noise = np.random.default_rng(9).normal(0, 0.01, (1000, 1))
    calm = choose_cutoff(np.sin(2 * np.pi * 0.2 * t)[:, None] + noise, 25.0, 1.0, 6.0)
    lively = choose_cutoff(np.sin(2 * np.pi * 3.3 * t)[:, None] + noise, 25.0, 1.0, 6.0)
    assert calm < 2.0 < 3.0 < lively


def test_gaps_are_bridged() -> None:
    values = np.arange(10.0)[:, None]
    broken = values.copy()
    valid = np.ones(10, bool)
    valid[[0, 4, 5, 9]] = False
    broken[~valid] = 99.0
    filled = fill_gaps(broken, valid)[:, 0]
    assert np.allclose(filled[1:9], values[1:9, 0])
    assert filled[0] == 1.0
    assert filled[9] == 8.0


def test_smoothing_keeps_where_the_face_is_seen() -> None:
    _, _, rotation, translation = a_clip(n=300)
    rng = np.random.default_rng(6)
    pivot = np.array([0.0, 0.03, -0.08])
    shaky = rotation_from_vector(rng.normal(0, 0.01, (300, 3))) @ rotation
    moved = translation + (rotation - shaky) @ pivot  # errors of turn and place go together
    found, shift = smooth_poses(shaky, moved, pivot, np.ones(300), 25.0)
    before = np.linalg.norm(vector_from_rotation(np.swapaxes(rotation, 1, 2) @ shaky), axis=1).mean()
    after = np.linalg.norm(vector_from_rotation(np.swapaxes(rotation, 1, 2) @ found), axis=1).mean()
    assert after < 0.6 * before
    assert np.abs(shift + found @ pivot - translation - rotation @ pivot)[20:-20].max() < 0.003


@pytest.mark.parametrize(("nods", "kept"), [(0.0, 0.3), (0.03, 0.8)])
def test_a_face_bobs_only_as_fast_as_the_head_nods(nods: float, kept: float) -> None:
    rng = np.random.default_rng(3)
    t = np.arange(500) / 25.0
    fast = np.sin(2 * np.pi * 3.5 * t)
    turn = rng.normal(0, 3e-4, (500, 3)) + np.stack([0.1 * np.sin(t) + nods * fast, 0.1 * np.cos(t), 0 * t], axis=1)
    place = rng.normal(0, 1e-5, (500, 3)) + np.stack([0.01 * np.sin(t), 0.001 * fast, 1.0 + 0 * t], axis=1)
    _, found = smooth_poses(rotation_from_vector(turn), place, np.zeros(3), np.ones(500), 25.0)
    bobbing = np.abs(found[50:-50, 1]).max() / 0.001
    assert bobbing > kept if nods else bobbing < kept


def firm(count: int) -> np.ndarray:
    """Information of corners that hold alike in all directions."""
    return np.tile(np.eye(2), (count, 1, 1))


def test_stripes_do_not_hold_the_torso_back() -> None:
    rng = np.random.default_rng(8)
    head = rigid(np.eye(3), np.array([0.0, -0.15, 1.0]))
    corners = np.stack([rng.uniform(100, 400, 120), rng.uniform(350, 500, 120)], axis=1)
    shift = np.linspace(0, 12, 40)
    seen = np.tile(corners, (40, 1, 1))
    seen[:, :30, 0] += shift[:, None]  # corners move; points on level stripes seem to stay
    stripe = np.tile(np.diag([0.02, 1.0]), (90, 1, 1))
    held = np.ones(seen.shape[:2], bool)

    def moved(information: np.ndarray) -> float:
        poses = torso.to_poses(torso.TorsoTrack(corners, seen, held, information), head, 0, 800.0, (512, 512), 25.0)
        chest = torso._on_chest(corners - 256, head, 800.0)
        found = (np.c_[chest, np.ones(120)] @ (poses[-1] @ np.linalg.inv(head)).T)[:, :3]
        return float((800.0 * found[:, 0] / found[:, 2] + 256 - corners[:, 0]).mean())

    assert moved(np.concatenate([firm(30), stripe])) > 9.0
    assert moved(firm(120)) < 6.0


def test_torso_motion_is_recovered() -> None:
    rng = np.random.default_rng(7)
    head = rigid(np.eye(3), np.array([0.0, -0.15, 1.0]))
    corners = np.stack([rng.uniform(100, 400, 120), rng.uniform(350, 500, 120)], axis=1)
    chest = torso._on_chest(corners - 256, head, 800.0)
    middle = chest.mean(axis=0)
    n = 60
    t = np.arange(n) / 25.0
    turn = np.stack([0 * t, 0.05 * np.sin(1.2 * t), 0.03 * np.sin(0.9 * t)], axis=1)
    shift = np.stack([0.02 * np.sin(t), 0.004 * np.sin(2 * t), 0.01 * np.sin(0.8 * t)], axis=1)
    moved = np.einsum("nij,mj->nmi", rotation_from_vector(turn), chest - middle) + middle + shift[:, None]
    seen = 800.0 * moved[..., :2] / moved[..., 2:] + 256
    held = rng.uniform(size=seen.shape[:2]) < 0.8
    seen[~held] += 40.0
    track = torso.TorsoTrack(corners, seen + rng.normal(0, 0.1, seen.shape), held, firm(len(corners)))
    poses = torso.to_poses(track, head, 0, 800.0, (512, 512), 25.0)
    assert np.allclose(poses[0], head)
    found = np.einsum("nij,mj->nmi", poses @ np.linalg.inv(head), np.c_[chest, np.ones(120)])[..., :3]
    pixels = 800.0 * found[..., :2] / found[..., 2:] + 256
    assert np.sqrt(((pixels - seen)[held] ** 2).sum(-1).mean()) < 0.8
    assert np.corrcoef(vector_from_rotation(poses[:, :3, :3])[:, 1], turn[:, 1])[0, 1] > 0.95


def test_torso_that_cannot_be_followed_stays() -> None:
    head = rigid(np.eye(3), np.array([0.0, 0.0, 1.0]))
    track = torso.TorsoTrack(np.zeros((0, 2)), np.zeros((5, 0, 2)), np.zeros((5, 0), bool), firm(0))
    assert not track.reliable
    assert np.array_equal(torso.to_poses(track, head, 2, 800.0, (512, 512), 25.0), np.tile(head, (5, 1, 1)))


def test_plate_shows_what_was_uncovered_and_fills_the_rest() -> None:
    height, width = 120, 160
    background = np.zeros((height, width, 3), np.uint8)
    background[..., 0] = np.linspace(40, 200, width)[None]
    background[..., 1] = 90
    frames, mattes = [], []
    for k in range(12):
        matte = np.zeros((height, width), np.float32)
        matte[30:, 50 + 2 * k : 100 + 2 * k] = 1.0
        frame = background.copy()
        frame[matte > 0] = (255, 0, 255)
        frames.append(frame)
        mattes.append(matte)
    found = plate.build(frames, mattes)
    seen = np.ones((height, width), bool)
    seen[20:, 45:130] = False
    assert np.abs(found.image.astype(int) - background)[seen].max() <= 2
    assert np.abs(found.image.astype(int) - background)[..., 1].max() < 25  # no trace of the person's colour
    assert 0.3 < found.seen < 1.0
    assert found.moving == 0.0


@pytest.mark.parametrize("known", [True, False])
def test_fill_of_all_or_nothing(known: bool) -> None:
    image = np.full((8, 8, 3), 77, np.uint8)
    assert plate.fill(image, np.full((8, 8), known)).shape == image.shape


def test_matte_is_drawn_to_the_edge() -> None:
    picture = np.full((512, 512, 3), 60, np.uint8)
    picture[:, 256:] = (200, 180, 170)
    coarse = np.zeros((128, 128), np.float32)
    coarse[:, 65:] = 1.0  # four pixels off
    alpha = refine(picture, coarse)
    assert alpha[:, :255].max() < 0.5 < alpha[:, 257:].min()


def test_flicker_is_removed() -> None:
    off, on = np.zeros((4, 4), np.float32), np.ones((4, 4), np.float32)
    assert steady(off, on, off).max() <= 0.5
    assert steady(on, on, off).min() == 1.0
