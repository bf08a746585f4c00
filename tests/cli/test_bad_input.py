"""Mistakes people make: one clear sentence and a hint, exit code 2, nothing left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SILENCE = b"RIFF" + (36 + 32000).to_bytes(4, "little") + b"WAVEfmt " + bytes.fromhex(
    "10000000 0100 0100 803e0000 007d0000 0200 1000"
) + b"data" + (32000).to_bytes(4, "little") + bytes(32000)  # fmt: skip


def refused(result, *words: str) -> None:
    assert result.exit_code == 2, result.stderr
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line]
    errors = [i for i, line in enumerate(lines) if line.startswith("Error: ")]
    assert len(errors) == 1, result.stderr
    assert len(lines) > errors[0] + 1, "a hint is missing"
    for word in words:
        assert word in result.stderr


def only(folder: Path, *names: str) -> None:
    assert sorted(p.name for p in folder.iterdir()) == sorted(names)


@pytest.fixture
def text_video(tmp_path: Path) -> Path:
    path = tmp_path / "fake.mp4"
    path.write_text("This is not a video.\n" * 50)
    return path


@pytest.mark.parametrize("name", ["enroll", "capture"])
def test_missing_video(run, tmp_path, name):
    ending = {"enroll": ".avatar", "capture": ".capture"}[name]
    refused(run(name, tmp_path / "none.mp4", "-o", tmp_path / f"a{ending}"), "none.mp4")
    only(tmp_path)


@pytest.mark.parametrize("name", ["enroll", "capture"])
def test_a_folder_or_an_empty_file_is_no_video(run, tmp_path, name):
    ending = {"enroll": ".avatar", "capture": ".capture"}[name]
    (tmp_path / "empty.mp4").touch()
    refused(run(name, tmp_path, "-o", tmp_path / f"a{ending}"), "folder")
    refused(run(name, tmp_path / "empty.mp4", "-o", tmp_path / f"a{ending}"), "empty")
    only(tmp_path, "empty.mp4")


@pytest.mark.parametrize("name", ["enroll", "capture"])
def test_text_renamed_to_mp4(run, text_video, tmp_path, name):
    ending = {"enroll": ".avatar", "capture": ".capture"}[name]
    refused(run(name, text_video, "-o", tmp_path / f"a{ending}"), "fake.mp4")
    assert not (tmp_path / f"a{ending}").exists()


def test_wrong_endings_of_outputs(run, text_video, tmp_path):
    refused(run("enroll", text_video, "-o", tmp_path / "a.zip"), ".avatar")
    refused(run("capture", text_video, "-o", tmp_path / "a"), ".capture")
    (tmp_path / "a.avatar").write_text("x")
    (tmp_path / "a.wav").write_bytes(SILENCE)
    refused(run("speak", tmp_path / "a.avatar", "--audio", tmp_path / "a.wav", "-o", tmp_path / "o.gif"), ".mp4")
    refused(run("render", tmp_path / "a.avatar", "-o", tmp_path / "o.mp4"), ".png")
    refused(run("render", tmp_path / "a.avatar", "-o", tmp_path / "o.png", "--orbit"), ".mp4")
    refused(run("export", tmp_path / "a.avatar", "--to", "ply", "-o", tmp_path / "o.obj"), ".ply")


def test_a_finished_avatar_is_not_replaced_without_force(run, text_video, tmp_path):
    (tmp_path / "a.avatar").write_text("hours of work")
    refused(run("enroll", text_video, "-o", tmp_path / "a.avatar"), "--force")
    assert (tmp_path / "a.avatar").read_text() == "hours of work"
    refused(run("enroll", text_video, "-o", tmp_path / "a.avatar", "--force"), "fake.mp4")
    assert (tmp_path / "a.avatar").read_text() == "hours of work"


def test_unknown_preset_and_setting(run, text_video, tmp_path):
    refused(run("enroll", text_video, "-o", tmp_path / "a.avatar", "--preset", "fats"), "fast")
    refused(run("enroll", text_video, "-o", tmp_path / "a.avatar", "--set", "max_gausians=1"), "max_gaussians")
    refused(run("enroll", text_video, "-o", tmp_path / "a.avatar", "--set", "max_gaussians"), "field=value")


def test_sizes(run, text_video, tmp_path):
    refused(run("capture", text_video, "-o", tmp_path / "a.capture", "--size", "100"), "multiple of 16")
    (tmp_path / "a.avatar").write_text("x")
    refused(run("render", tmp_path / "a.avatar", "-o", tmp_path / "a.png", "--size", "big"), "640x480")


@pytest.mark.parametrize(
    "words",
    [
        ("speak", "{}", "--audio", "s.wav", "-o", "o.mp4"),
        ("render", "{}", "-o", "o.png"),
        ("render", "{}", "-o", "o.mp4", "--orbit"),
        ("export", "{}", "--to", "ply", "-o", "o.ply"),
        ("export", "{}", "--to", "ply-seq", "--audio", "s.wav", "-o", "o"),
        ("info", "{}"),
    ],
    ids=lambda words: words[0],
)
def test_avatars_that_are_missing_folders_or_text(run, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    Path("s.wav").write_bytes(SILENCE)
    Path("folder.avatar").mkdir()
    Path("text.avatar").write_text("This is not an avatar.\n" * 9)
    for name in ("none.avatar", "folder.avatar", "text.avatar"):
        refused(run(*(w.format(name) for w in words)), name)
    only(tmp_path, "s.wav", "folder.avatar", "text.avatar")


def test_captures_that_are_missing_or_files(run, tmp_path):
    (tmp_path / "file.capture").write_text("x")
    (tmp_path / "empty.capture").mkdir()
    (tmp_path / "a.avatar").write_text("x")
    for name in ("none.capture", "file.capture", "empty.capture"):
        refused(run("train", tmp_path / name, "-o", tmp_path / "b.avatar"), name)
    refused(run("eval", tmp_path / "a.avatar", "--capture", tmp_path / "none.capture"), "none.capture")
    refused(run("info", tmp_path / "empty.capture"), "empty.capture")
    assert not (tmp_path / "b.avatar").exists()


def test_truncated_avatar(run, tiny_avatar_path, tmp_path):
    whole = tiny_avatar_path.read_bytes()
    for keep in (4, 200, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.avatar").write_bytes(whole[:keep])
        refused(run("render", tmp_path / "cut.avatar", "-o", tmp_path / "o.png"), "cut.avatar")
    only(tmp_path, "cut.avatar")


@pytest.mark.parametrize("content", [b"not a sound\n" * 30, SILENCE[:30]], ids=["text", "cut"])
def test_wrong_sound(run, tiny_avatar_path, tmp_path, content):
    (tmp_path / "s.wav").write_bytes(content)
    refused(run("speak", tiny_avatar_path, "--audio", tmp_path / "s.wav", "-o", tmp_path / "o.mp4"), "s.wav")
    only(tmp_path, "s.wav")


def test_options_that_do_not_go_together(run, tmp_path):
    (tmp_path / "a.avatar").write_text("x")
    avatar = tmp_path / "a.avatar"
    refused(run("render", avatar, "-o", tmp_path / "o.mp4", "--orbit", "--views"), "--orbit")
    refused(run("export", avatar, "--to", "ply-seq", "-o", tmp_path / "o"), "--audio")
    refused(run("export", avatar, "--to", "ply", "--audio", "x.wav", "-o", tmp_path / "o.ply"), "ply-seq")


def test_the_output_may_not_be_an_input(run, tmp_path):
    (tmp_path / "a.avatar").write_text("x")
    (tmp_path / "film.mp4").write_bytes(SILENCE)
    refused(run("speak", tmp_path / "a.avatar", "--audio", tmp_path / "film.mp4", "-o", tmp_path / "film.mp4"), "input")
    assert (tmp_path / "film.mp4").read_bytes() == SILENCE


def test_output_inside_a_file_or_onto_a_folder(run, tmp_path):
    (tmp_path / "a.avatar").write_text("x")
    (tmp_path / "o.png").mkdir()
    refused(run("render", tmp_path / "a.avatar", "-o", tmp_path / "a.avatar" / "o.png"), "not a folder")
    refused(run("render", tmp_path / "a.avatar", "-o", tmp_path / "o.png"), "folder")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_without_permission(run, tiny_avatar_path, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    refused(run("render", tiny_avatar_path, "-o", tmp_path / "locked" / "o.png"), "permission")


def test_errors_as_data(run_json, tmp_path):
    error = run_json("enroll", tmp_path / "none.mp4", "-o", tmp_path / "a.avatar")["error"]
    assert error["kind"] == "UserError"
    assert "none.mp4" in error["message"]
    assert error["hint"]
