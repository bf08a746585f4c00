"""What is measured of the sound, on sounds whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from splatalk.capture import hearing
from splatalk.speech.sync import Offset
from splatalk.speech.visemes import VISEMES

RATE = 16000
SECONDS = 8


def speech(level: float = 0.2, noise: float = 1e-4, seed: int = 0) -> np.ndarray:
    """Bursts of band-limited sound, 70 % of the time, over white noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(SECONDS * RATE) / RATE
    voice = sum(np.sin(2 * np.pi * f * t + f) for f in (127.0, 711.0, 1501.0)) * level / 2
    voice *= (t * 1.3 % 1.0) < 0.7
    return (voice + noise * rng.standard_normal(len(t))).astype(np.float32)


def test_levels_are_those_of_the_parts():
    told = hearing.levels(speech(level=0.2, noise=0.001))
    assert told["noise_db"] == pytest.approx(-60.0, abs=1.0)
    assert told["speech_db"] == pytest.approx(10 * np.log10(3 * 0.1**2 / 2), abs=1.5)
    assert told["snr_db"] == pytest.approx(told["speech_db"] - told["noise_db"], abs=0.11)
    assert told["active"] == pytest.approx(0.7, abs=0.06)
    assert not told["silent"] and told["clipped"] == 0.0 and told["hum"] is None


def test_digital_silence_overdrive_and_nothing():
    assert hearing.levels(np.clip(speech(level=4.0), -1, 1))["clipped"] > 0.1
    assert hearing.levels(np.zeros(2 * RATE, np.float32))["silent"]
    assert hearing.levels(speech(noise=0.0))["noise_db"] == -96.0
    assert hearing.levels(np.zeros(100, np.float32))["silent"], "shorter than a block"


@pytest.mark.parametrize("mains", [50, 60])
def test_hum_is_found_under_speech(mains):
    t = np.arange(SECONDS * RATE) / RATE
    added = 0.01 * np.sin(2 * np.pi * mains * t) + 0.005 * np.sin(2 * np.pi * 3 * mains * t)
    told = hearing.hum(speech() + added.astype(np.float32))
    assert told is not None and told["hz"] == mains
    assert told["level_db"] == pytest.approx(10 * np.log10((0.01**2 + 0.005**2) / 2), abs=1.0)


def test_no_hum_in_speech_noise_or_one_steady_tone():
    assert hearing.hum(speech()) is None
    assert hearing.hum(0.1 * np.random.default_rng(0).standard_normal(SECONDS * RATE).astype(np.float32)) is None
    assert hearing.hum(0.1 * np.sin(2 * np.pi * 100 * np.arange(SECONDS * RATE) / RATE).astype(np.float32)) is None


def test_visemes_count_when_they_last(monkeypatch):
    classes = [0] * 5 + [1] * 3 + [0] + [1] * 2 + [10] + [5] * 4  # one step of aa (10) is too short
    monkeypatch.setattr(hearing, "viseme_probabilities", lambda _: np.eye(len(VISEMES))[classes])
    told = hearing.visemes_heard(np.zeros((len(classes), 512)))
    assert told["PP"] == 2 and told["kk"] == 1 and told["aa"] == 0 and "sil" not in told
    shapes = {s["name"]: s["heard"] for s in hearing.shapes_heard(told)}
    assert shapes["closed lips"] == 2 and shapes["open vowels"] == 0


@pytest.mark.parametrize(("follows", "least", "most"), [(1.0, 0.9, 1.0), (0.0, -0.4, 0.4)])
def test_lips_that_follow_the_sound_are_told_from_those_that_do_not(monkeypatch, follows, least, most):
    rng = np.random.default_rng(1)
    estimates = np.cumsum(rng.standard_normal((1000, 8)), axis=0).astype(np.float32)
    estimates -= np.apply_along_axis(lambda c: np.convolve(c, np.ones(101) / 101, "same"), 0, estimates)
    monkeypatch.setattr(hearing, "articulation", lambda *_: estimates)
    monkeypatch.setattr(hearing, "viseme_probabilities", lambda _: np.zeros((1000, len(VISEMES)), np.float32))
    landmarks = np.zeros((500, 478, 3))
    opening = follows * estimates[::2, 0] + (1 - follows) * rng.standard_normal(500)
    landmarks[:, [178, 87, 14, 317, 402], 1] = 0.01 + 0.001 * opening[:, None]
    told = hearing.lips_predicted(np.zeros((1000, 512)), landmarks, np.ones(500, bool), 25.0)
    assert told is not None and least <= told["correlation"] <= most
    assert hearing.lips_predicted(np.zeros((1000, 512)), landmarks, np.arange(500) < 30, 25.0) is None


def test_sync_is_told_with_its_curve():
    assert hearing.sync_figures(hearing.Heard(np.zeros(10))) == {"checked": False, "moved_s": 0.0}
    offset = Offset(0.1, 0.6, 0.2, True, ((-0.1, 0.1), (0.1, 0.6)))
    told = hearing.sync_figures(hearing.Heard(np.zeros(10), None, offset, 0.1))
    assert told["agreement"] == 0.6 and told["curve"][1] == [0.1, 0.6] and told["moved_s"] == 0.1
    assert hearing.sync_figures(hearing.Heard(np.zeros(10), None, offset))["agreement"] == 0.2
