"""Mouth shapes heard in speech."""

import numpy as np
import pytest

from splatalk.speech import PROSODY, SAMPLE_RATE, lip_reading, speech_windows
from splatalk.speech.features import feature_groups, load, n_visemes
from splatalk.speech.lip_reading import CLOSED, SHAPES, shapes, speaking, viseme_probabilities
from splatalk.speech.synthesis import say
from splatalk.speech.visemes import VISEMES
from tests.conftest import require_assets


@pytest.fixture(scope="module")
def spoken():
    require_assets("whisper_base")
    pytest.importorskip("espeakng_loader", reason="NOT TESTED: the extra `text` is not installed")
    return say("Bob and Pam bring a map of Bombay. She sees the sea, too.", "en-us+f2")


def test_it_hears_lips_close(spoken):
    chances = viseme_probabilities(load("whisper").extract(spoken.samples))
    np.testing.assert_allclose(chances.sum(1), 1.0, atol=1e-5)
    times = np.arange(len(chances)) / 50
    truly = np.zeros(len(chances), dtype=bool)
    for mark in spoken.visemes:
        if mark.text == "PP":
            truly |= (times >= mark.start) & (times < mark.end)
    closed = chances[:, CLOSED]
    assert closed[truly].mean() > 0.5 and closed[~truly].mean() < 0.12
    later = times > next(w.start for w in spoken.words if w.text == "She")
    assert closed[later].max() < 0.4


def test_windows_hold_them(spoken):
    n = 40
    with_shapes, without = (speech_windows(name, spoken.samples, 25.0, n) for name in ("visemes", "whisper"))
    groups = feature_groups(with_shapes.shape[-1], n_visemes("visemes"))
    assert groups["visemes"].stop - groups["visemes"].start == len(VISEMES)
    np.testing.assert_allclose(with_shapes[..., groups["visemes"]][:, 2:-2].sum(-1)[5:-10], 1.0, atol=1e-3)
    for name, columns in feature_groups(without.shape[-1]).items():
        if name != "visemes":
            np.testing.assert_array_equal(with_shapes[..., groups[name]], without[..., columns])


def test_shapes_close_surely_and_open_for_vowels(spoken):
    words = load("whisper").extract(spoken.samples)
    found = shapes(words)
    assert found.shape == (len(words), len(SHAPES))
    np.testing.assert_array_equal(found[:, : len(VISEMES)], viseme_probabilities(words))
    closed = found[:, SHAPES.index("closed")]
    assert closed.min() >= 0.0 and closed.max() <= 1.0
    events = [m for m in spoken.visemes if m.text == "PP"]
    assert np.mean([closed[int(m.start * 50) : int(m.end * 50) + 2].max() > 0.9 for m in events]) >= 0.85
    opening = found[:, SHAPES.index("opening")]
    visemes = found[:, : len(VISEMES)].argmax(1)
    assert opening[visemes == VISEMES.index("aa")].mean() > opening[visemes == CLOSED].mean() + 1.0


def test_a_short_closure_is_not_averaged_away(spoken):
    n = len(spoken.samples) * 25 // SAMPLE_RATE
    words = load("whisper").extract(spoken.samples[: n * SAMPLE_RATE // 25])
    got = speech_windows("lips", spoken.samples, 25.0, n)
    groups = feature_groups(got.shape[-1], n_visemes("lips"))
    assert [groups[k].stop - groups[k].start for k in ("visemes", "curves", "closed")] == [len(VISEMES), 2, 1]
    np.testing.assert_allclose(got[:, 6, groups["closed"].start], shapes(words)[: 2 * n : 2, -1], atol=1e-4)


def test_a_closure_of_one_step_is_seen_beside_it(monkeypatch):
    """At 25 frames/s every other step of 20 ms is a frame."""
    scores = np.zeros((20, len(VISEMES) + 3), np.float32)
    scores[:, VISEMES.index("aa")] = 10.0
    scores[9, CLOSED] = 20.0
    monkeypatch.setattr(lip_reading, "_scores", lambda features: scores)
    closed = shapes(np.zeros((20, 512), np.float32))[:, -1]
    assert closed[9] == 1.0 and closed[8] == closed[10] == pytest.approx(0.7)
    assert closed[:8].max() < 0.01 and closed[11:].max() < 0.01


def struck(seconds: float) -> np.ndarray:
    """Chords of a major key, struck twice a second."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = np.array((220.0, 175.0, 262.0, 196.0))[(time / 0.5).astype(int) % 4]
    tones = sum(np.sin(2 * np.pi * pitch * step * k * time) / k for step in (1.0, 1.25, 1.5) for k in range(1, 5))
    return np.asarray(0.03 * tones * np.exp(-(time % 0.5) / 0.3), dtype=np.float32)


def test_speech_is_told_from_music(spoken):
    encoder = load("whisper")
    assert speaking(encoder.extract(spoken.samples))[10:-20].mean() > 0.9
    assert speaking(encoder.extract(struck(4.0))).mean() < 0.02
    assert speaking(np.zeros((0, encoder.dim), np.float32)).shape == (0,)
    said, played = (speech_windows("lips", sound, 25.0, 80)[:, 6] for sound in (spoken.samples, struck(4.0)))
    column = feature_groups(said.shape[-1], n_visemes("lips"))["prosody"].start + PROSODY.index("activity")
    assert said[:, column].mean() > 0.5 and played[:, column].max() < 0.1


def test_it_reads_the_same_wherever_a_clip_begins():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(120, 512)).astype(np.float32)
    np.testing.assert_allclose(shapes(features)[30:80], shapes(features[15:100])[15:65], rtol=1e-3, atol=1e-3)
