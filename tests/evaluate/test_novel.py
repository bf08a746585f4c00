"""The one alignment between an avatar's world and the truth's, and what is read of the truth."""

from __future__ import annotations

import dataclasses
import types
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splatalk.capture.geometry import rotation_from_vector
from splatalk.errors import FormatError, UserError
from splatalk.evaluate import novel
from splatalk.render.camera import Camera

TURNED = rotation_from_vector(np.array([0.1, -0.4, 0.2]))


def rotation(seed: int) -> np.ndarray:
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * np.linalg.det(q)


def project(camera: Camera, points: np.ndarray) -> np.ndarray:
    p = points @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]
    return p[:, :2] / p[:, 2:] * (camera.fx, camera.fy) + (camera.cx, camera.cy)


@given(st.integers(0, 10_000), st.floats(0.01, 200))
def test_a_similarity_is_recovered(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    source, r, t = rng.normal(size=(12, 3)), rotation(seed), rng.normal(size=3) * 50
    found = novel.fit_turned(source, scale * source @ r.T + t, r)
    assert found.scale == pytest.approx(scale)
    np.testing.assert_allclose(found.translation, t, atol=1e-6 * max(scale, 50))
    assert found.residual < 1e-6 * scale


def test_what_lies_along_the_view_does_not_change_the_scale() -> None:
    source = np.random.default_rng(0).normal(size=(20, 3))
    found = novel.fit_turned(source, 3 * source * (1, 1, 1.5), np.eye(3))
    assert found.scale == pytest.approx(3)
    assert found.residual > 0.1


def test_noise_is_the_residual() -> None:
    rng = np.random.default_rng(0)
    source = rng.normal(size=(5000, 3))
    found = novel.fit_turned(source, 3 * source + rng.normal(0, 0.01, source.shape), np.eye(3))
    assert found.residual == pytest.approx(0.01 * 3**0.5, rel=0.05)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_the_rotation_between_worlds_needs_no_common_head_frame(seed: int) -> None:
    rng = np.random.default_rng(seed)
    heads = rotation_from_vector(rng.normal(0, 0.15, (60, 3)))
    world, frame = rotation_from_vector(rng.normal(0, 0.3, 3)), rotation(seed)
    np.testing.assert_allclose(novel.fit_rotation(heads, world @ heads @ frame), world, atol=1e-5)


def test_the_rotation_of_a_head_that_never_turns_stays_small() -> None:
    heads = np.tile(np.eye(3), (9, 1, 1))
    np.testing.assert_allclose(novel.fit_rotation(heads, heads @ rotation(1)), np.eye(3), atol=1e-6)


def test_both_cameras_see_the_same_picture() -> None:
    rng = np.random.default_rng(1)
    points = rng.normal(size=(30, 3)) * 0.1 + (0, 0, 1)
    s = novel.fit_turned(points, 100 * points @ rotation(4).T + (3, -2, 9), rotation(4))
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation(7), (1, 2, 300)
    camera = Camera(512, 512, 900, 910, 250, 260, pose)
    there = s.scale * points @ s.rotation.T + s.translation
    np.testing.assert_allclose(project(s.camera(camera), points), project(camera, there), atol=1e-6)
    r = s.camera(camera).world_to_camera[:3, :3]
    np.testing.assert_allclose(r @ r.T, np.eye(3), atol=1e-9)


def write_truth(folder: Path, **changed: object) -> tuple[Path, Path]:
    n = 6
    poses = np.tile(np.eye(4), (n, 1, 1))
    poses[:, :3, :3] = rotation_from_vector(np.random.default_rng(2).normal(0, 0.2, (n, 3)))
    poses[:, :3, 3] = np.random.default_rng(0).normal((0, 0, 100), size=(n, 3))
    facts = {
        "K": np.array([[900.0, 0, 256], [0, 900, 256], [0, 0, 1]]),
        "image_size": np.array([512, 512]),
        "T_cam_head": poses,
        "landmarks68_model": np.random.default_rng(1).normal(size=(1, 68, 3)).repeat(n, 0) * 5,
        "test_frames": np.array([4, 5]),
        "novel_yaw_pitch": np.array([[-30, 0], [0, 0]]),
        "T_novel_from_cam": np.tile(np.eye(4), (2, 1, 1)),
        "novel_background": np.array([128, 127, 1]),
    } | changed
    np.savez(folder / "a_gt.npz", **{k: v for k, v in facts.items() if v is not None})
    with zipfile.ZipFile(folder / "a_novel.zip", "w") as archive:
        for frame in (4, 5):
            for view in (0, 1):
                image = np.full((8, 8, 3), (10 * frame, 20, 30 * view), np.uint8)
                archive.writestr(f"f{frame:05d}_c{view}.webp", cv2.imencode(".webp", image, [64, 101])[1].tobytes())
                archive.writestr(
                    f"f{frame:05d}_c{view}_mask.png", cv2.imencode(".png", image[..., 0] // 20)[1].tobytes()
                )
    return folder / "a_gt.npz", folder / "a_novel.zip"


def fake_capture(truth: novel.Truth) -> types.SimpleNamespace:
    """The truth seen by a tracker that works in metres, turned and moved."""
    n = len(truth.head_pose)
    landmarks = np.zeros((n, 478, 3))
    for theirs, ours in novel.CORRESPONDING:
        landmarks[:, ours] = truth.landmarks[:, theirs] / 100
    poses = truth.head_pose.copy()
    poses[:, :3, 3] /= 100
    move = np.eye(4)
    move[:3, :3], move[:3, 3] = TURNED, (0.2, 0.1, 0)
    return types.SimpleNamespace(
        path=Path("a.capture"),
        tracks=types.SimpleNamespace(head_pose=move @ poses, landmarks_head=landmarks),
        train_frames=lambda: np.arange(4),
        test_frames=lambda: np.arange(4, n),
    )


def test_truth_and_alignment(tmp_path: Path) -> None:
    truth = novel.Truth.load(*write_truth(tmp_path))
    assert (truth.camera.width, truth.camera.fx, truth.camera.cx) == (512, 900, 256)
    image, mask = truth.pictures(5, 1)
    assert image[0, 0].tolist() == [30, 20, 50] and int(mask[0, 0]) == 2  # written as BGR
    found = novel.align(fake_capture(truth), truth)
    assert found.scale == pytest.approx(100)
    np.testing.assert_allclose(found.rotation, TURNED.T, atol=1e-6)
    assert found.residual < 1e-6


def test_the_camera_is_not_turned_by_a_face_of_another_relief(tmp_path: Path) -> None:
    truth = novel.Truth.load(*write_truth(tmp_path))
    capture = fake_capture(truth)
    capture.tracks.head_pose = truth.head_pose.copy()
    capture.tracks.head_pose[:, :3, 3] /= 100
    lean = np.eye(3)
    lean[2, 1] = 0.2  # the lower a point, the farther
    capture.tracks.landmarks_head = capture.tracks.landmarks_head @ lean.T
    straight = novel.align(capture, truth)
    assert straight.turn_degrees < 1e-3
    refined = capture.tracks.head_pose[:4].copy()
    refined[:, 2, 3] += 0.05
    moved = novel.align(capture, truth, refined)
    np.testing.assert_allclose(straight.translation - moved.translation, (0, 0, 5), atol=0.5)


def test_views_are_rendered_from_the_truths_cameras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = novel.Truth.load(*write_truth(tmp_path))
    calls = []

    def play(avatar, performance, camera, background, backend):
        calls.append((camera, background))
        return (truth.pictures(frame, len(calls) - 1)[0] for frame in performance)

    monkeypatch.setattr(novel, "play", play)
    monkeypatch.setattr(novel, "from_capture", lambda avatar, capture, frames: frames.tolist())
    monkeypatch.setattr(novel, "with_fitted_poses", lambda avatar, capture, frames, performance: performance[::-1])
    same = novel.Similarity(100.0, np.eye(3), np.zeros(3), 0.0)
    views = list(novel.novel_views(None, fake_capture(truth), truth, same))
    assert [(v.frame, v.view) for v in views] == [(4, 0), (5, 0), (4, 1), (5, 1)]
    once = len(calls)
    calls.clear()
    fitted = list(novel.novel_views(None, fake_capture(truth), truth, same, fit=True))
    assert [v.frame for v in fitted] == [4, 5, 4, 5] and (fitted[0].image == views[1].image).all()
    assert len(calls) == once
    assert all(background == "#807f01" for _, background in calls)
    assert all(novel.view_figures(v, None)["psnr_person"] == float("inf") for v in views)
    worse = dataclasses.replace(views[0], image=views[0].image + np.uint8(10))
    assert novel.view_figures(worse, None)["psnr_person"] == pytest.approx(28.13, abs=0.01)


def test_no_common_frames(tmp_path: Path) -> None:
    truth = novel.Truth.load(*write_truth(tmp_path))
    capture = fake_capture(truth)
    capture.train_frames = lambda: np.arange(100, 120)
    with pytest.raises(UserError, match="in common"):
        novel.align(capture, truth)


@pytest.mark.parametrize("field", ["K", "image_size", "T_cam_head", "test_frames"])
def test_missing_facts_are_told(tmp_path: Path, field: str) -> None:
    with pytest.raises(FormatError):
        novel.Truth.load(*write_truth(tmp_path, **{field: None}))


def test_facts_with_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError):
        novel.Truth.load(*write_truth(tmp_path, K=np.array([{"a": 1}], dtype=object)))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 3000), st.booleans())
def test_damaged_truth_is_told(tmp_path_factory: pytest.TempPathFactory, junk: bytes, at: int, cut: bool) -> None:
    folder = tmp_path_factory.getbasetemp()
    facts, views = write_truth(folder)
    for path in (facts, views):
        whole = path.read_bytes()
        at = at % len(whole)
        path.write_bytes(whole[:at] if cut else whole[:at] + junk + whole[at + len(junk) :])
        try:
            truth = novel.Truth.load(facts, views)
            truth.pictures(4, 0)
        except FormatError:
            pass
        path.write_bytes(whole)
