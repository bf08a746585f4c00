"""A Capture on disk reads back as written, and damage is told in words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splatalk.capture import pictures, reasons
from splatalk.capture.dataset import Capture, Tracks, checksums, write_wave
from splatalk.capture.film import FilmWriter
from splatalk.errors import FormatError
from splatalk.render.camera import Camera

N = 22


def make(folder: Path, version: int = 3) -> Tracks:
    rng = np.random.default_rng(1)
    poses = np.tile(np.eye(4), (N, 1, 1))
    tracks = Tracks(
        landmarks=rng.uniform(0, 32, (N, 478, 2)),
        landmarks_head=rng.normal(0, 0.05, (N, 478, 3)),
        neutral=rng.normal(0, 0.05, (478, 3)),
        blendshapes=rng.uniform(size=(N, 52)),
        gaze=rng.normal(size=(N, 4)),
        head_pose=poses,
        torso_pose=poses,
        valid=np.arange(N) != 3,
        face_box=np.tile([4.0, 4.0, 20.0, 24.0], (N, 1)),
        reference_frame=5,
    )
    frames = [np.full((24, 32, 3), (8 * i, 90, 30), np.uint8) for i in range(N)]
    mattes = [np.full((24, 32), 10 * i, np.uint8) for i in range(N)]
    folder.mkdir(parents=True, exist_ok=True)
    if version == 1:
        for name, suffix, series in (("frames", "jpg", frames), ("mattes", "png", mattes)):
            (folder / name).mkdir()
            for i, picture in enumerate(series):
                pictures.write(folder / name / f"{i:06d}.{suffix}", picture)
    else:
        for name, series in (("frames", frames), ("mattes", mattes)):
            with FilmWriter(folder / f"{name}.mp4", 25.0, gray=name == "mattes") as film:
                for picture in series:
                    film.write(picture)
    pictures.write(folder / "plate.png", np.full((24, 32, 3), (1, 2, 3), np.uint8))
    write_wave(folder / "audio.wav", np.linspace(-1, 1, N * 640).astype(np.float32))
    tracks.save(folder / "tracks.npz")
    if version < 3:
        plain(folder / "tracks.npz", tracks)
    camera = Camera(32, 24, 60.0, 60.0, 16.0, 12.0)
    meta = {"format": "splatalk capture", "version": version, "fps": 25.0, "n_frames": N, "camera": camera.to_json()}
    if version == 3:
        meta["checksums"] = checksums(folder)
    (folder / "capture.json").write_text(json.dumps(meta))
    return tracks


def plain(path: Path, tracks: Tracks) -> None:
    """Tracks as versions before 3 wrote them."""
    with np.load(path) as data:
        arrays = dict(data)
    for name in ("landmarks", "landmarks_head", "blendshapes"):
        arrays[name] = getattr(tracks, name).astype(np.float32)
    np.savez(path, **arrays)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dataset") / "a.capture"
    make(path)
    return path


@pytest.fixture(scope="module")
def old_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dataset") / "old.capture"
    make(path, version=1)
    return path


@pytest.mark.parametrize("version", [1, 2, 3])
def test_reads_back(tmp_path: Path, version: int) -> None:
    path = tmp_path / "a.capture"
    written = make(path, version)
    capture = Capture.load(path)
    assert (len(capture), capture.width, capture.height, capture.fps) == (N, 32, 24, 25.0)
    assert np.abs(capture.frame(4).astype(int) - (32, 90, 30)).max() < 6
    assert np.allclose(capture.matte(3), 30 / 255)
    assert np.array_equal(capture.plate[0, 0], [1, 2, 3])
    assert len(capture.audio) == N * 640
    assert np.abs(capture.audio - np.linspace(-1, 1, N * 640)).max() < 1e-4
    assert np.abs(capture.tracks.landmarks - written.landmarks).max() < 0.005
    assert np.abs(capture.tracks.landmarks_head - written.landmarks_head).max() < 5e-6
    assert capture.tracks.reference_frame == 5
    assert capture.camera.fx == 60.0


@pytest.mark.parametrize("name", ["frames.mp4", "mattes.mp4", "audio.wav", "plate.png"])
def test_a_hole_inside_a_file_is_noticed_at_once(tmp_path: Path, folder: Path, name: str) -> None:
    path = tmp_path / "a.capture"
    shutil.copytree(folder, path)
    data = bytearray((path / name).read_bytes())
    middle = len(data) // 2
    data[middle : middle + 8] = bytes(255 - byte for byte in data[middle : middle + 8])
    (path / name).write_bytes(data)
    with pytest.raises(FormatError, match=name):
        Capture.load(path)


def test_split_is_ten_elevenths_without_unfit_frames(folder: Path) -> None:
    capture = Capture.load(folder)
    assert capture.train_frames().tolist() == [i for i in range(20) if i != 3]
    assert capture.test_frames().tolist() == [20, 21]


@pytest.mark.parametrize(
    "name",
    ["capture.json", "tracks.npz", "audio.wav", "plate.png", "frames.mp4", "mattes.mp4", "frames/000007.jpg",
     "mattes/000000.png"],
)  # fmt: skip
def test_a_missing_file_is_named(tmp_path: Path, folder: Path, old_folder: Path, name: str) -> None:
    path = tmp_path / "a.capture"
    shutil.copytree(old_folder if "/" in name else folder, path)
    (path / name).unlink()
    with pytest.raises(FormatError) as caught:
        Capture.load(path)
    assert name.rsplit("/", 1)[-1] in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "change",
    [
        {"version": 99}, {"n_frames": -1}, {"n_frames": 10**9}, {"n_frames": "22"}, {"n_frames": 21}, {"fps": 0},
        {"camera": None}, {"camera": {"width": 32}}, {"format": "something"}, {"fps": "fast"},
        {"checksums": None}, {"checksums": {"frames.mp4": 1}},
    ],
)  # fmt: skip
def test_wrong_metadata_is_refused(tmp_path: Path, folder: Path, change: dict) -> None:
    path = tmp_path / "a.capture"
    shutil.copytree(folder, path)
    meta = json.loads((path / "capture.json").read_text())
    (path / "capture.json").write_text(json.dumps(meta | change))
    with pytest.raises(FormatError):
        Capture.load(path)


@pytest.mark.parametrize("name", ["landmarks", "head_pose", "gaze", "valid"])
def test_wrong_tracks_are_refused(tmp_path: Path, folder: Path, name: str) -> None:
    path = tmp_path / "tracks.npz"
    with np.load(folder / "tracks.npz") as data:
        arrays = dict(data)
    for bad in (arrays[name][..., :-1], arrays[name].astype(np.complex64), np.array(["a"] * N)):
        np.savez(path, **{**arrays, name: bad})
        with pytest.raises(FormatError):
            Tracks.load(path, N)
    if name != "valid":
        np.savez(path, **{**arrays, name: np.full(arrays[name].shape, np.nan)})
        with pytest.raises(FormatError):
            Tracks.load(path, N)


def test_why_a_frame_is_left_out_is_kept(tmp_path: Path, folder: Path) -> None:
    with np.load(folder / "tracks.npz") as data:
        arrays = dict(data)
    codes = reasons.encode({3: "blurred"}, np.ones(N, bool))
    np.savez(tmp_path / "tracks.npz", **{**arrays, "reason": codes})
    assert reasons.decode(Tracks.load(tmp_path / "tracks.npz", N).reason) == {3: "blurred"}
    np.savez(tmp_path / "tracks.npz", **{name: array for name, array in arrays.items() if name != "reason"})
    assert reasons.decode(Tracks.load(tmp_path / "tracks.npz", N).reason) == {3: "left out"}  # version 1
    for bad in (codes[:-1], codes.astype(float), np.zeros(N, np.uint8), np.uint8(3)):
        np.savez(tmp_path / "tracks.npz", **{**arrays, "reason": bad})
        with pytest.raises(FormatError):
            Tracks.load(tmp_path / "tracks.npz", N)


def test_pickles_are_not_run(tmp_path: Path, folder: Path) -> None:
    with np.load(folder / "tracks.npz") as data:
        arrays = dict(data)
    np.savez(tmp_path / "tracks.npz", **{**arrays, "gaze": np.array([print], dtype=object)})
    with pytest.raises(FormatError):
        Tracks.load(tmp_path / "tracks.npz", N)


HITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8)
NEW = ["capture.json", "tracks.npz", "audio.wav", "plate.png", "frames.mp4", "mattes.mp4"]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(NEW), cut=st.floats(0, 1), hits=HITS)
def test_damage_is_a_format_error_or_harmless(
    folder: Path, name: str, cut: float, hits: list[tuple[float, int]]
) -> None:
    damage(folder, name, cut, hits)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(["frames/000007.jpg", "mattes/000007.png"]), cut=st.floats(0, 1), hits=HITS)
def test_damage_of_an_old_capture_too(old_folder: Path, name: str, cut: float, hits: list[tuple[float, int]]) -> None:
    damage(old_folder, name, cut, hits)


def damage(folder: Path, name: str, cut: float, hits: list[tuple[float, int]]) -> None:
    """Read a capture with one file cut off and bytes in it changed."""
    path = folder / name
    whole = path.read_bytes()
    data = bytearray(whole[: round(len(whole) * (cut if cut < 0.7 else 1.0))])
    for place, value in hits:
        if data:
            data[round(place * (len(data) - 1))] = value
    try:
        path.write_bytes(bytes(data))
        capture = Capture.load(folder)
        assert capture.frame(7).shape == capture.plate.shape == (24, 32, 3)
        assert capture.matte(7).shape == capture.footage.gray(19).shape == (24, 32)
        assert np.isfinite(capture.audio).all()
    except FormatError:
        pass
    finally:
        path.write_bytes(whole)
