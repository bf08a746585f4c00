"""Speech never heard is compared with its truth: film, arrays, drawn or not; wrong lips are found out."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from splatalk.cli import main
from splatalk.errors import UserError
from splatalk.evaluate import spoken
from splatalk.evaluate.mouth import Lips, Range
from splatalk.evaluate.phonemes import Closures
from splatalk.evaluate.spoken import Drive, Usual
from splatalk.evaluate.truth import Truth
from splatalk.speech.synthesis import Mark
from tests.evaluate.test_protocol import FakeCapture, FakePerformance, opening, picture, track

N = 60


@dataclasses.dataclass
class FakeSpeech(FakePerformance):
    def select(self, rows: np.ndarray) -> FakeSpeech:
        return dataclasses.replace(self, frames=list(rows))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[int], np.ndarray]]:
    """The avatar draws ``own`` for its own sound and ``other`` for another voice's; the film shows ``film``."""
    draws: dict[str, Callable[[int], np.ndarray]] = {"own": picture, "other": picture, "film": picture}
    faces = track(picture(i) for i in range(N))
    truth = Truth("talk.mp4", 25.0, Lips.of(faces), None, faces, faces, 64)

    def play(avatar: object, performance: FakeSpeech, backend: str) -> Iterator[np.ndarray]:
        return (draws[performance.draw](i) for i in performance)

    def lips(avatar: object, samples: np.ndarray, n: int) -> Lips:
        gap = np.array([float(opening(i)) for i in range(n)])
        return Lips(gap if samples[0] else np.roll(gap, 7), gap)

    monkeypatch.setattr(spoken, "read_audio", lambda path, longest: np.ones(N * 640, np.float32))
    monkeypatch.setattr(spoken, "another_voice", lambda samples: 0 * samples)
    monkeypatch.setattr(spoken, "read_truth", lambda path, fps: truth)
    monkeypatch.setattr(spoken, "closures_of", lambda path, s: Closures(np.array([[2.05, 2.10]]), "times made up"))
    monkeypatch.setattr(spoken, "predicted_lips", lips)
    monkeypatch.setattr(spoken, "play", play)
    monkeypatch.setattr(spoken, "track_faces", track)
    monkeypatch.setattr(
        spoken, "from_audio", lambda avatar, s, seed, head: FakeSpeech(range(N + 3), "own" if s[0] else "other")
    )
    return draws


AVATAR = types.SimpleNamespace(audio_encoder=object(), fps=25.0)
DRIVE = Drive(Path("talk.wav"), Path("talk.mp4"))


def usual() -> Usual:
    return Usual.of(FakeCapture())  # type: ignore[arg-type]


def test_a_perfect_mouth(world: dict) -> None:
    found = spoken.measure(AVATAR, DRIVE, usual())  # type: ignore[arg-type]
    assert found.avatar["opening_correlation"] == pytest.approx(1)
    assert found.avatar["opening_predicted"] == pytest.approx(1)
    assert found.avatar["closed_pbm"] == found.recording["closed_pbm"] == 100
    assert found.avatar["other_voice_loss"] == pytest.approx(0) and found.avatar["lmd_aligned_px"] == pytest.approx(0)
    assert found.avatar["other_voice_predicted_loss"] > 0.3
    assert {len(curve) for curve in found.curves.values()} == {N} and len(found.curves) == 6
    assert found.closures == "1 times made up" and found.closed == [[2.05, 2.10]]


def test_wrong_lips_are_found_out(world: dict) -> None:
    world["own"] = lambda i: picture(i - 2)
    world["other"] = lambda i: picture(0)
    found = spoken.measure(AVATAR, DRIVE, usual()).avatar  # type: ignore[arg-type]
    assert found["opening_lag_ms"] == pytest.approx(80, abs=5) and found["opening_correlation"] < 0.9
    assert found["lmd_aligned_px"] > 0.1 and found["other_voice_correlation"] is None


def test_nothing_drawn_is_predicted_only(world: dict) -> None:
    found = spoken.measure(AVATAR, DRIVE, usual(), draw=False)  # type: ignore[arg-type]
    assert set(found.avatar) == {
        "opening_predicted", "width_predicted", "closed_pbm_predicted", "other_voice_predicted_loss",
    }  # fmt: skip
    assert set(found.curves) == {"opening_recording", "width_recording"}


def test_synthetic_voices_say_it_too(world: dict, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The worse of both counts; phonemes are those of the file."""
    marks = tmp_path / "talk.json"
    marks.write_text('[{"start": 0.1, "end": 0.2, "phoneme": "p"}]')
    gap = np.array([float(opening(i)) for i in range(N)])
    heard = []

    def lips(avatar: object, samples: object, text: str, voice: str, n: int, phonemes: list[Mark]) -> Lips:
        heard.append((text, voice, phonemes[0].text))
        return Lips(gap if voice.endswith("m3") else np.roll(gap, 7), gap)

    monkeypatch.setattr(spoken.same_text, "synthetic_lips", lips)
    drive = dataclasses.replace(DRIVE, text="words", language="de", phonemes=marks)
    found = spoken.measure(AVATAR, drive, usual(), draw=False).avatar  # type: ignore[arg-type]
    assert heard == [("words", "de+m3", "p"), ("words", "de+f2", "p")]
    assert found["synthetic_voice_predicted"] == pytest.approx(np.corrcoef(np.roll(gap, 7), gap)[0, 1], abs=1e-3)
    assert found["synthetic_voice_loss"] == pytest.approx(1 - found["synthetic_voice_predicted"], abs=1e-3)


def test_truth_in_another_unit_is_not_called_a_range(world: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    gap = np.array([float(opening(i)) for i in range(N)]) / 10 - 0.45
    arrays = Truth("talk.npz", 25.0, Lips(gap, gap), closed_below=0.0)
    monkeypatch.setattr(spoken, "read_truth", lambda path, fps: arrays)
    found = spoken.measure(AVATAR, DRIVE, usual())  # type: ignore[arg-type]
    assert found.avatar["opening_correlation"] == pytest.approx(1)
    assert "opening_range" not in found.avatar and "lmd_aligned_px" not in found.avatar
    assert found.recording == {"closed_pbm": 100.0}
    shown = np.array(found.curves["opening_recording"])
    assert Range.of(shown).high == pytest.approx(usual().tracked.high, abs=1e-6)  # stretched for the plot


def test_an_avatar_that_cannot_hear(world: dict) -> None:
    deaf = types.SimpleNamespace(audio_encoder=None, fps=25.0)
    with pytest.raises(UserError, match="cannot be driven by sound"):
        spoken.measure(deaf, DRIVE, usual())  # type: ignore[arg-type]


def test_files_that_cannot_be_told_apart(tmp_path: Path) -> None:
    (tmp_path / "a.capture").mkdir()
    for name in ("a.avatar", "a.wav", "b.json", "c.json"):
        (tmp_path / name).write_text("x")

    def told(*words: str) -> str:
        arguments = ["eval", "a.avatar", "--capture", "a.capture", *words]
        done = CliRunner().invoke(main, [str(tmp_path / w) if "." in w else w for w in arguments])
        assert done.exit_code == 2
        return done.stderr

    assert "1 --drive and 2 --truth" in told("--drive", "a.wav", "--truth", "a.wav", "--truth", "a.wav")
    assert "1 --drive and 2 --text" in told("--drive", "a.wav", "--text", "hello", "--text", "you")
    assert "0 --drive and 1 --truth" in told("--truth", "a.wav")
    assert "2 --phonemes" in told("--phonemes", "b.json", "--phonemes", "c.json")
    assert "There is no file" in told("--drive", "none.wav")
