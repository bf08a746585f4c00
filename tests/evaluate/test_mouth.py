"""Lips that follow are told from lips that do not; closures, truth and phonemes are read as they are written."""

from __future__ import annotations

import contextlib
import json
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from splatalk.errors import AssetError, FormatError, UserError
from splatalk.evaluate import mouth, phonemes, truth
from splatalk.evaluate.chart import PANEL, lips_chart
from splatalk.evaluate.mouth import Lips, Range

FPS = 25.0


def speech(n: int = 100, late: int = 0) -> Lips:
    t = np.arange(n) - late
    return Lips(1 + np.sin(t / 2.3) + 0.5 * np.sin(t / 1.1), 5 + np.cos(t / 3.1))


def test_the_same_lips_follow_perfectly() -> None:
    found = mouth.figures(speech(), speech(), np.arange(100), FPS)
    assert found["opening_correlation"] == found["width_correlation"] == pytest.approx(1)
    assert found["opening_range"] == pytest.approx(1) and abs(found["opening_lag_ms"]) < 1


def test_late_and_lazy_lips_are_told() -> None:
    late = speech(late=3)
    found = mouth.figures(Lips(0.4 * late.opening, late.width), speech(), np.arange(100), FPS)
    assert found["opening_lag_ms"] == pytest.approx(120, abs=8) and found["opening_best"] > 0.98
    assert found["opening_correlation"] < 0.6 and found["opening_range"] == pytest.approx(0.4, abs=0.02)


def test_closures_are_counted_with_a_frame_of_grace() -> None:
    opening = np.ones(50)
    opening[10] = 0.0
    frames = np.arange(50)
    at = [[10 / FPS - 0.02, 10 / FPS + 0.02]]
    assert mouth.closed_share(opening, np.array(at), frames, FPS, 0.2) == 100
    early = [[11 / FPS, 11 / FPS + 0.03]]
    assert mouth.closed_share(opening, np.array(at + early + [[1.0, 1.05]]), frames, FPS, 0.2) == pytest.approx(200 / 3)
    assert math.isnan(mouth.closed_share(opening, np.array([[9.0, 9.1]]), frames, FPS, 0.2))
    assert math.isnan(mouth.closed_share(opening, np.zeros((0, 2)), frames, FPS, 0.2))


def test_range_of_a_person() -> None:
    usual = Range.of(np.linspace(0, 1, 101))
    assert (usual.low, usual.high) == (pytest.approx(0.05), pytest.approx(0.95))
    assert usual.closed_below == pytest.approx(0.05 + 0.15 * 0.9)


# --- phonemes


def write(path: Path, marks: object) -> Path:
    path.write_text(json.dumps(marks))
    return path


def mark(start: float, end: float, phoneme: str) -> dict[str, object]:
    return {"start": start, "end": end, "phoneme": phoneme}


def test_phonemes_of_several_alphabets(tmp_path: Path) -> None:
    marks = [mark(0, 0.1, "_"), mark(0.1, 0.2, "p"), mark(0.2, 0.3, "ɑː"), mark(0.3, 0.4, "M"), mark(0.4, 0.5, "bʲ"),
             mark(0.5, 0.6, "n"), mark(0.6, 0.7, "pʰ")]  # fmt: skip
    found = phonemes.read_closures(write(tmp_path / "p.json", marks))
    np.testing.assert_allclose(found.times[:, 0], (0.1, 0.3, 0.4, 0.6))
    assert "p.json" in found.source


@pytest.mark.parametrize(
    "marks",
    [
        {}, [1], [{}], [mark(0, 1, "p") | {"start": "0"}], [mark(1, 0.5, "p")], [mark(1, 2, "b"), mark(0, 1, "p")],
        [mark(0, 1, "p") | {"phoneme": 3}], [mark(0, 1, "p") | {"end": True}],
    ],
)  # fmt: skip
def test_other_things_are_no_phonemes(tmp_path: Path, marks: object) -> None:
    with pytest.raises(FormatError):
        phonemes.read_closures(write(tmp_path / "p.json", marks))


def test_without_the_model_that_hears_closures_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise AssetError("The model is missing.", "Fetch it.")

    monkeypatch.setattr(phonemes, "load", missing)
    found = phonemes.closures_of(None, np.zeros(16000, np.float32))
    assert found.times.shape == (0, 2) and "model is missing" in found.source


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_any_bytes_are_refused_or_read(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "p.json"
    path.write_bytes(raw)
    with contextlib.suppress(UserError):
        assert phonemes.read_closures(path).times.shape[1] == 2


# --- truth in arrays


def arrays(path: Path, **changed: object) -> Path:
    n = 50
    points = np.zeros((n, 68, 3))
    points[:, 54, 0] = 5 + np.sin(np.arange(n) / 3)
    whole = {"fps": 50.0, "lip_opening_cm": np.sin(np.arange(n) / 3), "landmarks68_model": points} | changed
    np.savez_compressed(path, **{name: value for name, value in whole.items() if value is not None})
    return path


def test_truth_is_brought_to_the_frame_rate(tmp_path: Path) -> None:
    known = truth.read_truth(arrays(tmp_path / "t.npz"), 25.0)
    assert len(known.lips.opening) == 25 and known.fps == 25.0 and known.closed_below == 0.0
    np.testing.assert_allclose(known.lips.opening, np.sin(np.arange(25) * 2 / 3), atol=1e-9)
    np.testing.assert_allclose(known.lips.width, 5 + np.sin(np.arange(25) * 2 / 3), atol=1e-9)
    assert np.isnan(truth.read_truth(arrays(tmp_path / "w.npz", landmarks68_model=None), 50.0).lips.width).all()


@pytest.mark.parametrize(
    "changed",
    [
        {"fps": 0.0}, {"fps": "fast"}, {"lip_opening_cm": None}, {"lip_opening_cm": np.zeros((5, 2))},
        {"lip_opening_cm": np.full(50, np.nan)}, {"landmarks68_model": np.zeros((3, 68, 3))},
        {"lip_opening_cm": np.array(["a", "b"])}, {"lip_opening_cm": np.zeros(())},
    ],
)  # fmt: skip
def test_impossible_truth_is_refused(tmp_path: Path, changed: dict) -> None:
    with pytest.raises(FormatError):
        truth.read_truth(arrays(tmp_path / "t.npz", **changed), 25.0)


def test_a_pickle_in_the_truth_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(FormatError):
        truth.read_truth(arrays(tmp_path / "t.npz", lip_opening_cm=np.array([{}], dtype=object)), 25.0)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(truth, "MAX_BYTES", 2**20)
    path = tmp_path / "t.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("lip_opening_cm.npy", bytes(2**20 + 1))
    with pytest.raises(FormatError, match="too large"):
        truth.read_truth(path, 25.0)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2000), st.binary(min_size=1, max_size=8))
@example(914, b"\x00\x00")  # a header that Python's tokenizer stumbles over
def test_damaged_truth_is_refused_or_read(tmp_path_factory: pytest.TempPathFactory, at: int, junk: bytes) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    whole = arrays(folder / "t.npz").read_bytes()
    (folder / "t.npz").write_bytes(whole[: at % len(whole)] + junk + whole[at % len(whole) + len(junk) :])
    with contextlib.suppress(UserError):
        assert np.isfinite(truth.read_truth(folder / "t.npz", 25.0).lips.opening).all()


# --- the chart


def test_chart_shows_both_panels_and_closures() -> None:
    times = [i / FPS for i in range(50)]
    panels = {
        "Opening": {"avatar": [0.1] * 25 + [None] + [0.9] * 24, "recording": [0.5] * 50},
        "Width": {"avatar": [None] * 50},
    }
    drawn = lips_chart(times, panels, np.array([[0.5, 0.6]]))
    assert drawn.shape == (2 * PANEL, 1600, 3) and drawn.dtype == np.uint8
    assert (drawn[PANEL:] == 255).all(), "a panel without numbers is empty"
    plain = lips_chart(times, panels, np.zeros((0, 2)))
    assert (drawn != plain).any()
