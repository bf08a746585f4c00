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


def test_another_voice_has_another_pitch_and_the_same_times(words: np.ndarray) -> None:
    other = voices.another_voice(words)
    assert other.shape == words.shape and other.dtype == np.float32
    before, after = voices.median_pitch(words), voices.median_pitch(other)
    factor = voices.LOWER[0] if before > voices.MIDDLE_HZ else voices.HIGHER[0]
    assert after / before == pytest.approx(factor, rel=0.12)
    energy = [prosody(sound, 25.0, 100)[:, 0] for sound in (words, other)]
    assert np.corrcoef(*energy)[0, 1] > 0.9
    assert np.sqrt(np.mean(other**2)) == pytest.approx(np.sqrt(np.mean(words**2)), rel=0.1)


def test_silence_stays_silent() -> None:
    assert not voices.another_voice(np.zeros(16000, np.float32)).any()


@pytest.mark.parametrize("level", voices.ROOM_DB)
def test_the_room_is_as_loud_as_stated_and_has_no_voice(level: float) -> None:
    noise = voices.room_noise(3.0, level, seed=4)
    assert 20 * np.log10(noise.std()) == pytest.approx(level, abs=0.1)
    np.testing.assert_array_equal(noise, voices.room_noise(3.0, level, seed=4))
    assert (noise != voices.room_noise(3.0, level, seed=5)).any()
