"""What enroll keeps, reuses and clears, with the two long stages replaced by quick stand-ins."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import splatalk.capture
import splatalk.train.run
from splatalk.errors import FormatError


class Stages:
    """Stands in for ``record`` and ``train``; notes what was asked of them."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.interrupt_training = False

    def record(self, video: Path, out: Path, **options: Any) -> SimpleNamespace:
        self.calls.append(("record", options))
        out.mkdir(parents=True)
        (out / "report.html").write_text("how good it is")
        return self.load(out)

    def load(self, path: Path) -> SimpleNamespace:
        if not path.is_dir():
            raise FormatError(f"{path} is no capture.", "Make one.")
        grade = {"word": "fair", "points": 61}
        quality = {"grade": grade, "warnings": ["It is dark."], "advice": ["Light a lamp."]}
        return SimpleNamespace(path=path, meta={"quality": quality})

    def train(
        self, capture: Any, out: Path, preset: Any, *, seed: int, resume: bool, work: Path, **_: Any
    ) -> SimpleNamespace:
        self.calls.append(("train", (preset.name, seed, resume)))
        work.mkdir(parents=True, exist_ok=True)
        (work / "checkpoint.safetensors").touch()
        if self.interrupt_training:
            raise KeyboardInterrupt
        out.write_text("avatar")
        return SimpleNamespace(n_gaussians=7)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


@pytest.fixture
def stages(monkeypatch) -> Stages:
    stages = Stages()
    monkeypatch.setattr(splatalk.capture, "record", stages.record)
    monkeypatch.setattr(splatalk.capture.dataset.Capture, "load", stages.load)
    monkeypatch.setattr(splatalk.train.run, "train", stages.train)
    return stages


@pytest.fixture
def video(tmp_path) -> Path:
    path = tmp_path / "me.mp4"
    path.write_bytes(b"video")
    return path


def test_one_go_leaves_only_the_avatar(run, run_json, stages, video, tmp_path):
    result = run("enroll", video, "-o", tmp_path / "a.avatar", "--consent", "Yes.", "--seed", "3", "--person", "2")
    assert result.exit_code == 0, result.stderr
    assert all(text in result.stderr for text in ("It is dark.", "Light a lamp.", "fair, 61 of 100"))
    assert "splatalk speak" in result.stdout and str(tmp_path / "a.report.html") in result.stdout
    assert (tmp_path / "a.report.html").read_text() == "how good it is"
    (_, options), (_, trained) = stages.calls
    assert options["consent"]["statement"] == "Yes." and options["person"] == 2 and options["size"] == 512
    assert trained == ("fast", 3, True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.avatar", "a.report.html", "me.mp4"]
    facts = run_json("enroll", video, "-o", tmp_path / "a.avatar", "--force", "--preset", "demo")
    assert facts["gaussians"] == 7 and facts["preset"] == "demo" and facts["bytes"] == 6
    assert facts["report"] == str(tmp_path / "a.report.html")


def test_interrupted_training_goes_on_with_the_same_capture(run, stages, video, tmp_path):
    stages.interrupt_training = True
    result = run("enroll", video, "-o", tmp_path / "a.avatar")
    assert result.exit_code == 130
    assert "run the same command again" in result.stderr
    work = tmp_path / "a.avatar.work"
    assert (work / "train" / "checkpoint.safetensors").exists() and not (tmp_path / "a.avatar").exists()
    stages.interrupt_training = False
    assert run("enroll", video, "-o", tmp_path / "a.avatar").exit_code == 0
    assert stages.names == ["record", "train", "train"]
    assert not work.exists()


@pytest.mark.parametrize("change", ["other video", "other size", "other consent", "fresh"])
def test_what_belongs_to_another_recording_is_not_reused(run, stages, video, tmp_path, change):
    stages.interrupt_training = True
    words = ["enroll", video, "-o", tmp_path / "a.avatar"]
    run(*words)
    if change == "other video":
        video.write_bytes(b"another video")
    more = {"other size": ["--set", "size=256"], "other consent": ["--consent", "Yes."], "fresh": ["--fresh"]}
    run(*words, *more.get(change, []))
    assert stages.names == ["record", "train", "record", "train"]


def test_going_on_does_not_need_the_consent_again(run, stages, video, tmp_path, monkeypatch):
    stages.interrupt_training = True
    words = ["enroll", video, "-o", tmp_path / "a.avatar"]
    run(*words, "--consent", "Yes.")
    monkeypatch.setattr("splatalk.cli.consent._at_terminal", lambda: True)
    assert "Did the person" not in run(*words).stderr
    assert "Did the person" not in run(*words, "--consent", "Yes.").stderr
    assert stages.names == ["record", "train", "train", "train"]
    assert run(*words, "--consent", "Not any more.").exit_code == 130
    assert stages.names[4:] == ["record", "train"]


def test_a_work_folder_of_ones_own_keeps_what_else_is_in_it(run, stages, video, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "notes.txt").write_text("mine")
    assert run("enroll", video, "-o", tmp_path / "a.avatar", "--work", own).exit_code == 0
    assert [p.name for p in own.iterdir()] == ["notes.txt"]


def test_keep_work(run, stages, video, tmp_path):
    assert run("enroll", video, "-o", tmp_path / "a.avatar", "--keep-work").exit_code == 0
    work = tmp_path / "a.avatar.work"
    assert sorted(p.name for p in work.iterdir()) == ["enroll.json", "recording.capture", "train"]
    assert json.loads((work / "enroll.json").read_text())["size"] == 512
