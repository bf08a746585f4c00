"""Another voice says the same at the same time; the room is as loud as it says."""

from __future__ import annotations

import numpy as np
import pytest

from splatalk.evaluate import voices
from splatalk.speech import prosody, read_audio
from tests.conftest import SAMPLE_SPEECH


@pytest.fixture(scope="module")
def words() -> np.ndarray:
    return read_audio(SAMPLE_SPEECH)[: 4 * 16000]


def centroid(samples: np.ndarray) -> float:
    """Hertz: the middle of the spectrum."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    return float((power * np.fft.rfftfreq(len(samples), 1 / 16000)).sum() / power.sum())


def test_another_voice_has_another_pitch_and_the_same_times(words: np.ndarray) -> None:
    other = voices.another_voice(words)
    assert other.shape == words.shape and other.dtype == np.float32
    before, after = voices.median_pitch(words), voices.median_pitch(other)
    factor = voices.LOWER[0] if before > voices.MIDDLE_HZ else voices.HIGHER[0]
    assert after / before == pytest.approx(factor, rel=0.12)
    energy = [prosody(sound, 25.0, 100)[:, 0] for sound in (words, other)]
    assert np.corrcoef(*energy)[0, 1] > 0.9
    assert np.sqrt(np.mean(other**2)) == pytest.approx(np.sqrt(np.mean(words**2)), rel=0.1)


def test_formants_move_without_the_pitch() -> None:
    t = np.arange(16000) / 16000
    harmonics = sum(np.sin(2 * np.pi * 120 * k * t) * np.exp(-((120 * k - 1000) ** 2) / 2e5) for k in range(1, 40))
    raised = voices._formants_moved(0.1 * harmonics.astype(np.float32), 1.3)
    assert centroid(raised) / centroid(harmonics) == pytest.approx(1.3, rel=0.1)
    spectrum = np.abs(np.fft.rfft(raised))
    assert np.argmax(spectrum) % 120 in (0, 1, 119)  # still a harmonic of 120 Hz; a bin is one hertz


def test_the_same_moment_of_slower_words_is_found() -> None:
    rng = np.random.default_rng(0)
    words = np.cumsum(rng.normal(size=(100, 12)), axis=0)
    slower = np.repeat(words, 2, axis=0) + 0.05 * rng.normal(size=(200, 12))
    at = voices.same_moment(words, slower, 50.0)
    assert (np.diff(at) >= 0).all()
    np.testing.assert_allclose(at, np.arange(100) * 2 / 50, atol=0.1)


def test_too_short_a_sound_stays() -> None:
    click = np.ones(10, np.float32)
    np.testing.assert_array_equal(voices.another_voice(click), click)
    assert np.isfinite(voices.another_voice(np.zeros(16000, np.float32))).all()


@pytest.mark.parametrize("level", voices.ROOM_DB)
def test_the_room_is_as_loud_as_stated_and_has_no_voice(level: float) -> None:
    noise = voices.room_noise(3.0, level, seed=4)
    assert 20 * np.log10(noise.std()) == pytest.approx(level, abs=0.1)
    np.testing.assert_array_equal(noise, voices.room_noise(3.0, level, seed=4))
    assert (noise != voices.room_noise(3.0, level, seed=5)).any()
