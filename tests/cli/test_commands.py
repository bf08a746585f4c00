"""Every command on a tiny avatar: what it writes and what it says."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from splatalk.export.ply import read_facts, read_ply


@pytest.fixture(scope="module")
def words(tmp_path_factory) -> Path:
    """0.48 s of sound: twelve frames."""
    path = tmp_path_factory.mktemp("sound") / "words.wav"
    samples = (8000 * np.sin(np.arange(int(0.48 * 44100)) / 20)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(44100)
        file.writeframes(samples.tobytes())
    return path


def test_speak(run, tiny_avatar_path, words, tmp_path):
    film, sheet = tmp_path / "new" / "o.mp4", tmp_path / "sheet.png"
    result = run("speak", tiny_avatar_path, "--audio", words, "-o", film, "--sheet", sheet, "--yaw", "10")
    assert result.exit_code == 0, result.stderr
    assert str(film) in result.stdout and "frames/s" in result.stdout
    assert "Speaking" in result.stderr
    with av.open(str(film)) as container:
        assert container.streams.video[0].frames == 12
        assert container.streams.audio[0].rate == 44100, "the sound keeps its own rate"
    assert cv2.imread(str(sheet)) is not None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new", "sheet.png"]


def test_speak_replaces_a_film_and_answers_in_json(run_json, tiny_avatar_path, words, tmp_path):
    (tmp_path / "o.mp4").write_text("old")
    facts = run_json("speak", tiny_avatar_path, "--audio", words, "-o", tmp_path / "o.mp4", "--size", "96x64")
    assert facts["frames"] == 12 and facts["duration_s"] == pytest.approx(0.48)
    with av.open(str(tmp_path / "o.mp4")) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (96, 64)


def test_render_a_picture_from_two_sides(run, run_json, tiny_avatar_path, tmp_path):
    facts = run_json("info", tiny_avatar_path)
    for name, yaw in (("front", 0), ("side", 30)):
        result = run("render", tiny_avatar_path, "-o", tmp_path / f"{name}.png", "--yaw", yaw)
        assert result.exit_code == 0, result.stderr
    front, side = (cv2.imread(str(tmp_path / f"{n}.png")).astype(int) for n in ("front", "side"))
    assert front.shape == side.shape == (facts["height"], facts["width"], 3)
    assert np.abs(front - side).mean() > 1


def test_render_background_colour_reaches_the_corner(run, tiny_avatar_path, tmp_path):
    result = run("render", tiny_avatar_path, "-o", tmp_path / "a.png", "--background", "#10a0f0")
    assert result.exit_code == 0, result.stderr
    assert np.abs(cv2.imread(str(tmp_path / "a.png"))[2, 2].astype(int) - [0xF0, 0xA0, 0x10]).max() <= 12
    assert run("render", tiny_avatar_path, "-o", tmp_path / "b.png", "--background", "teal").exit_code == 2
    assert not (tmp_path / "b.png").exists()


def test_render_orbit_and_views(run, tiny_avatar_path, tmp_path):
    assert run("render", tiny_avatar_path, "-o", tmp_path / "o.mp4", "--orbit", "--seconds", "0.4").exit_code == 0
    with av.open(str(tmp_path / "o.mp4")) as container:
        assert container.streams.video[0].frames == 10 and not container.streams.audio
    assert run("render", tiny_avatar_path, "-o", tmp_path / "v.webp", "--views").exit_code == 0
    assert cv2.imread(str(tmp_path / "v.webp")).shape[1] > 5 * 256


def test_export_ply(run, tiny_avatar_path, tmp_path):
    result = run("export", tiny_avatar_path, "--to", "ply", "-o", tmp_path / "a.ply")
    assert result.exit_code == 0, result.stderr
    splats = read_ply(tmp_path / "a.ply")
    assert str(len(splats)) in result.stdout
    assert splats.means.abs().median() < 1, "metres, around the head"
    facts = read_facts(tmp_path / "a.ply")
    assert facts["units"] == "metres" and "Synthetic." in str(facts["consent"]) and "OpenCV" in facts["axes"]


def test_export_sequence(run_json, tiny_avatar_path, words, tmp_path):
    facts = run_json("export", tiny_avatar_path, "--to", "ply-seq", "--audio", words, "-o", tmp_path / "seq")
    assert facts["frames"] == 12
    manifest = json.loads((tmp_path / "seq" / "manifest.json").read_text())
    assert manifest["n_frames"] == 12 and (tmp_path / "seq" / manifest["sound"]).is_file()
    assert read_ply(tmp_path / "seq" / "000011.ply").means[:, 2].median() > 0, "in front of the camera"


def test_info_of_an_avatar_and_of_a_capture(run, run_json, tiny_avatar_path, sample_capture):
    facts = run_json("info", tiny_avatar_path)
    assert facts["kind"] == "avatar" and facts["gaussians"] > 0 and "Synthetic." in str(facts["consent"])
    shown = run("info", tiny_avatar_path).stdout
    assert "Synthetic." in shown and "training.preset.name" in shown
    facts = run_json("info", sample_capture.path)
    assert facts["kind"] == "capture" and facts["frames"] == sample_capture.n_frames


def test_doctor(run, run_json):
    facts = run_json("doctor")
    assert facts["works"] is True
    names = {f["name"] for f in facts["findings"]}
    assert {"Python", "torch", "mediapipe", "video", "compiled kernels", "face_landmarker", "gsplat", "lpips"} <= names
    for finding in facts["findings"]:
        assert finding["status"] in ("ok", "absent", "problem") and finding["detail"]
        assert finding["fix"] or finding["status"] == "ok" or finding["group"] == "backends"
    assert "Avatars can be made" in run("doctor").stdout


def test_doctor_reports_a_broken_package(run, monkeypatch):
    from splatalk.cli import doctor

    monkeypatch.setitem(doctor.PACKAGES, "no_such_module", "no-such-distribution")
    result = run("doctor")
    assert result.exit_code == 1
    assert "ModuleNotFoundError" in result.stdout and "Install splatalk again" in result.stdout
