"""The whole capture stage on a few seconds of the synthetic recording, and every refusal."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from splatalk import assets
from splatalk.avatar.face_mesh import mouth_opening
from splatalk.capture import Capture, extract, reasons, record
from splatalk.capture.decode import probe
from splatalk.capture.faces import FaceFinder
from splatalk.capture.framing import look
from splatalk.capture.preview import write_preview
from splatalk.capture.tracks import reprojection
from splatalk.errors import CaptureError, UserError
from tests.capture.clips import clock, cut, shared, steady, tone, write_clip

SECONDS = 2.6


@pytest.fixture(scope="module", autouse=True)
def networks() -> None:
    for name in ("face_landmarker", "selfie_segmenter"):
        if not assets.is_cached(name):
            pytest.skip(f"the asset {name} is not on this machine")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cut(shared("ada.mp4"), tmp_path_factory.mktemp("clip") / "ada.mp4", SECONDS)


@pytest.fixture(scope="module")
def made(clip: Path) -> Capture:
    return record(clip, clip.with_name("ada.capture"), consent={"who": "nobody, she is synthetic"})


def test_a_capture_is_complete(made: Capture) -> None:
    assert len(made) == round(SECONDS * 25)
    assert made.tracks.valid.all()
    assert len(made.audio) == len(made) * 640
    assert made.meta["consent"] == {"who": "nobody, she is synthetic"}
    assert made.meta["reference_frame"] == made.tracks.reference_frame
    assert "Content-Security-Policy" in (made.path / "report.html").read_text()
    assert not (made.path / "parts").exists()
    assert not list(made.path.parent.glob(".*unfinished"))


def test_tracks_agree_with_one_another(made: Capture) -> None:
    tracks = made.tracks
    error = reprojection(tracks, made.camera.fx, made.width, made.height)
    assert np.median(error) < 3.0  # the landmarks' own habit of understating nods is in it
    r = tracks.reference_frame
    assert np.allclose(tracks.head_pose[r], tracks.torso_pose[r], atol=1e-6)
    assert np.allclose(np.linalg.det(tracks.head_pose[:, :3, :3]), 1.0, atol=1e-5)
    assert tracks.head_pose[:, 2, 3].min() > 0.3
    assert tracks.neutral[4, 2] < tracks.neutral[33, 2] < tracks.neutral[127, 2]  # nose before eyes before temples
    assert tracks.neutral[152, 1] > tracks.neutral[10, 1]  # y points down


def test_the_mouth_follows_the_truth(made: Capture) -> None:
    truth = np.load(shared("ada_gt.npz"))["lip_opening_cm"][: len(made)]
    assert np.corrcoef(mouth_opening(made.tracks.landmarks_head), truth)[0, 1] > 0.9


def test_matte_and_plate_separate_person_and_background(made: Capture) -> None:
    i = made.tracks.reference_frame
    matte, frame = made.matte(i), made.frame(i).astype(int)
    x0, y0, x1, y1 = made.tracks.face_box[i].astype(int)
    assert matte[y0:y1, x0:x1].mean() > 0.99
    assert matte[:20].max() < 0.05
    away = matte == 0
    assert np.abs(frame - made.plate)[away].mean() < 4
    assert np.abs(frame - made.plate)[y0:y1, x0:x1].mean() > 15


def test_report_is_plain_json(made: Capture) -> None:
    report = json.loads((made.path / "report.json").read_text())
    assert report["frames"]["total"] == len(made)
    assert 1 <= len(report["advice"]) <= 3 and "Record" in report["advice"][0]["text"]
    assert made.meta["quality"]["advice"] == [tip["text"] for tip in report["advice"]]
    assert report["face"]["size_px"] > 96
    assert not report["sound"]["silent"]


def test_preview_plays_as_long(made: Capture, tmp_path: Path) -> None:
    import av

    write_preview(made, tmp_path / "preview.mp4")
    with av.open(str(tmp_path / "preview.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == len(made)


def test_an_interrupted_run_continues(
    clip: Path, made: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract.workers, "count", lambda: 1)  # few frames in flight
    out = tmp_path / "b.capture"
    measured: list[int] = []
    original = extract.Worker.measure

    def dying(self: extract.Worker, rgb: np.ndarray, framing: object) -> object:
        measured.append(1)
        if len(measured) == extract.BATCH + 8:
            raise KeyboardInterrupt
        return original(self, rgb, framing)

    monkeypatch.setattr(extract.Worker, "measure", dying)
    with pytest.raises(KeyboardInterrupt):
        record(clip, out)
    assert not out.exists()
    measured.clear()
    monkeypatch.setattr(extract.Worker, "measure", lambda *a: measured.append(1) or original(*a))
    again = record(clip, out)
    assert len(measured) <= len(made) - extract.BATCH + 2
    assert np.allclose(again.tracks.landmarks, made.tracks.landmarks, atol=0.01)
    assert np.abs(again.matte(extract.BATCH - 1) - made.matte(extract.BATCH - 1)).mean() < 0.01
    assert {p.name for p in again.path.iterdir()} == {p.name for p in made.path.iterdir()}


def test_no_socket_is_opened_while_a_face_is_tracked(made: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    process = psutil.Process()
    before = {c.fd for c in process.net_connections(kind="all")}
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    opened = set()
    with FaceFinder() as finder:
        frame = made.frame(0)
        for _ in range(10):
            found = finder.find(frame)
            finder.refine(frame, found[0])
            opened |= {c.fd for c in process.net_connections(kind="all")} - before  # also what C++ opens
    assert len(found) == 1
    assert not opened


def test_mediapipe_is_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    with FaceFinder() as finder:
        finder.find(np.zeros((64, 64, 3), np.uint8))
    assert capfd.readouterr().err == ""


def refused(video: Path, tmp_path: Path, error: type[UserError] = CaptureError, **options: object) -> str:
    """The message of the refusal, after checking that nothing is left behind under the final name."""
    out = tmp_path / "out.capture"
    with pytest.raises(error) as caught:
        record(video, out, **options)
    assert not out.exists()
    assert caught.value.hint
    return caught.value.message


def test_no_face(tmp_path: Path) -> None:
    video = write_clip(tmp_path / "a.mp4", clock(320, 240), steady(3.0, 25.0), sound=tone(3.0))
    assert "No face" in refused(video, tmp_path)


def test_no_sound(clip: Path, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "a.mp4", clock(320, 240), steady(3.0, 25.0))
    assert "sound" in refused(video, tmp_path)


def test_too_short(tmp_path: Path) -> None:
    video = cut(shared("ada.mp4"), tmp_path / "a.mp4", 1.2)
    assert "too short" in refused(video, tmp_path)


def test_two_faces_and_choosing_one(tmp_path: Path) -> None:
    def twins(picture: np.ndarray) -> np.ndarray:
        half = cv2.resize(picture[60:400, 90:430], (256, 256), interpolation=cv2.INTER_AREA)
        return np.concatenate([half, half[:, ::-1]], axis=1)

    video = cut(shared("ada.mp4"), tmp_path / "a.mp4", 2.2, twins)
    assert "More than one face" in refused(video, tmp_path)
    assert "no person 3" in refused(video, tmp_path, person=3)
    facts = probe(video)
    with FaceFinder() as finder:
        assert look(facts, 512, finder, person=1).centre[0] < 256 < look(facts, 512, finder, person=2).centre[0]


def test_too_small(tmp_path: Path) -> None:
    def far(picture: np.ndarray) -> np.ndarray:
        out = np.full((512, 512, 3), 120, np.uint8)
        out[180:380, 150:350] = cv2.resize(picture, (200, 200), interpolation=cv2.INTER_AREA)
        return out

    assert "too small" in refused(cut(shared("ada.mp4"), tmp_path / "a.mp4", 2.2, far), tmp_path)


def test_truncated_file(tmp_path: Path) -> None:
    whole = shared("ada.mp4").read_bytes()
    video = tmp_path / "a.mp4"
    video.write_bytes(whole[: len(whole) // 3])
    assert str(video) in refused(video, tmp_path)


def test_bad_frames_are_left_out_and_an_earlier_capture_is_replaced(made: Capture, tmp_path: Path) -> None:
    shutil.copytree(made.path, tmp_path / "a.capture")
    (tmp_path / "a.capture" / "stray.txt").write_text("old")
    count = iter(range(1000))

    def spoil(picture: np.ndarray) -> np.ndarray:
        i = next(count)
        if 20 <= i < 24:
            return np.full_like(picture, 90)
        if 50 <= i < 55:  # a hand over mouth and nose
            return cv2.ellipse(picture.copy(), (256, 300), (60, 70), 0, 0, 360, (150, 110, 95), -1, cv2.LINE_AA)
        return cv2.GaussianBlur(picture, (0, 0), 9) if 40 <= i < 43 else picture

    capture = record(cut(shared("ada.mp4"), tmp_path / "a.mp4", 2.4, spoil), tmp_path / "a.capture")
    assert not (capture.path / "stray.txt").exists()
    left_out = set(np.flatnonzero(~capture.tracks.valid).tolist())
    assert {20, 21, 22, 23, 40, 41, 42, 50, 51, 52, 53, 54} <= left_out
    assert len(left_out) < 17
    assert {reasons.WORDS[int(code)] for code in capture.tracks.reason[50:55]} == {"face hidden"}
    assert np.isfinite(capture.tracks.head_pose).all()
    report = json.loads((capture.path / "report.json").read_text())
    assert {r["reason"] for r in report["frames"]["left_out"]} >= {"no face", "blurred"}


def test_nothing_else_is_overwritten(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.txt").write_text("mine")
    with pytest.raises(UserError):
        record(clip, tmp_path / "photos")
    assert (tmp_path / "photos" / "a.txt").read_text() == "mine"
    with pytest.raises(UserError):
        record(clip, tmp_path / "photos" / "a.txt")
