"""A voice moved to another throat keeps its times; pitch and formants go where they are told."""

from __future__ import annotations

import numpy as np
import pytest

from splatalk.speech import prosody, read_audio
from splatalk.speech.mel import power_mel
from splatalk.speech.prosody import pitch_track
from splatalk.speech.psola import moved_voice
from tests.conftest import SAMPLE_SPEECH


@pytest.fixture(scope="module")
def words() -> np.ndarray:
    return read_audio(SAMPLE_SPEECH)[: 3 * 16000]


def vowel(hertz: float, formant: float) -> np.ndarray:
    t = np.arange(16000) / 16000
    waves = (
        np.cos(2 * np.pi * hertz * k * t) * np.exp(-((hertz * k - formant) ** 2) / 2e5)
        for k in range(1, int(7000 / hertz))
    )
    return (0.05 * sum(waves)).astype(np.float32)


def centroid(samples: np.ndarray) -> float:
    """Hertz: the middle of the spectrum."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    return float((power * np.fft.rfftfreq(len(samples), 1 / 16000)).sum() / power.sum())


def median_hertz(samples: np.ndarray) -> float:
    hertz, voicing = pitch_track(samples)
    return float(np.median(hertz[voicing > 0.6]))


@pytest.mark.parametrize("pitch", [0.62, 0.8, 1.0, 1.25, 1.6])
@pytest.mark.parametrize("formants", [0.86, 1.0, 1.16])
def test_a_vowel_goes_where_it_is_told(pitch: float, formants: float) -> None:
    moved = moved_voice(vowel(130.0, 1500.0), pitch, formants)
    assert median_hertz(moved) == pytest.approx(130.0 * pitch, rel=0.03)
    assert centroid(moved) == pytest.approx(1500.0 * formants, rel=0.06)


def test_unmoved_speech_stays_as_it_was(words: np.ndarray) -> None:
    same = moved_voice(words, 1.0, 1.0)
    assert same.shape == words.shape and same.dtype == np.float32
    bands = [np.log(power_mel(sound) + 1e-6).ravel() for sound in (words, same)]
    assert np.corrcoef(*bands)[0, 1] > 0.97


@pytest.mark.parametrize(("pitch", "formants"), [(0.62, 0.86), (1.6, 1.16)])
def test_moved_speech_keeps_its_times(words: np.ndarray, pitch: float, formants: float) -> None:
    moved = moved_voice(words, pitch, formants)
    assert moved.shape == words.shape
    assert median_hertz(moved) / median_hertz(words) == pytest.approx(pitch, rel=0.1)
    energy = [prosody(sound, 50.0, 150)[:, 0] for sound in (words, moved)]
    assert np.corrcoef(*energy)[0, 1] > 0.95


def test_a_click_stays_at_its_place() -> None:
    sound = np.zeros(8000, np.float32)
    sound[4321] = 1.0
    moved = moved_voice(sound, 1.6, 1.16)
    assert abs(int(np.argmax(np.abs(moved))) - 4321) <= 4
    assert np.square(moved[4321 - 100 : 4321 + 100]).sum() > 0.99 * np.square(moved).sum()


@pytest.mark.parametrize("length", [0, 1, 10, 159, 161, 5000])
def test_any_length_and_silence(length: int) -> None:
    assert moved_voice(np.zeros(length, np.float32), 1.5, 1.1).shape == (length,)
    noise = np.random.default_rng(0).normal(size=length).astype(np.float32)
    assert np.isfinite(moved_voice(noise, 0.6, 0.9)).all()


def test_factors_beyond_reason_are_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.5 to 2"):
        moved_voice(np.zeros(100, np.float32), 3.0, 1.0)
