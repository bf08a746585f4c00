"""Copies of speech keep its length and its time."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import disturb
from splatalk.speech.audio import SAMPLE_RATE, frame_levels, speech_level

CLICKS_S = (0.31, 0.9, 1.62)


def clicks() -> np.ndarray:
    sound = np.zeros(2 * SAMPLE_RATE, np.float32)
    for t in CLICKS_S:
        begin = round(t * SAMPLE_RATE)
        sound[begin : begin + 160] = np.sin(np.arange(160) * 0.8)
    return sound


def begins(sound: np.ndarray) -> np.ndarray:
    """Seconds at which each click begins."""
    level = np.abs(sound) > 0.3 * np.abs(sound).max()
    at = np.flatnonzero(level)
    return at[np.concatenate(([True], np.diff(at) > 1600))] / SAMPLE_RATE


WAYS = {
    "equalised": lambda x, rng: disturb.equalised(x, rng),
    "room": lambda x, rng: disturb.in_a_room(x, rng, 0.3),
    "phone": lambda x, rng: disturb.by_phone(x),
    "noise": lambda x, rng: disturb.beside(x, disturb.noise(len(x), 1, rng), 25.0),
    "babble": lambda x, rng: disturb.beside(x, disturb.babble(x, rng), 25.0),
}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_moves_in_time(way: str) -> None:
    sound = clicks()
    got = WAYS[way](sound, np.random.default_rng(0))
    assert got.shape == sound.shape and got.dtype == np.float32 and np.isfinite(got).all()
    assert not np.array_equal(got, sound)
    np.testing.assert_allclose(begins(got), CLICKS_S, atol=0.004)


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
def test_faster_is_sooner_and_higher(factor: float) -> None:
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = disturb.faster(np.sin(2 * np.pi * 400 * time).astype(np.float32), factor)
    assert abs(len(tone) - SAMPLE_RATE / factor) <= 1
    peak = np.argmax(np.abs(np.fft.rfft(tone))) * SAMPLE_RATE / len(tone)
    assert abs(peak - 400 * factor) < 3 and abs(np.abs(tone[500:-500]).max() - 1) < 0.02
    np.testing.assert_allclose(begins(disturb.faster(clicks(), factor)), np.array(CLICKS_S) / factor, atol=0.004)


def test_noise_is_as_far_below_speech_as_asked_for() -> None:
    rng = np.random.default_rng(0)
    speech = rng.normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    added = disturb.beside(speech, disturb.noise(len(speech), 0, rng), 12.0) - speech
    assert abs(speech_level(speech) - 10 * np.log10(np.mean(added**2)) - 12.0) < 0.2


def test_brown_noise_is_darker_than_white() -> None:
    def bright(exponent: int) -> float:
        power = np.abs(np.fft.rfft(disturb.noise(SAMPLE_RATE, exponent, np.random.default_rng(1)))) ** 2
        return float(power[4000:].sum() / power.sum())

    assert bright(0) > 0.4 > 0.1 > bright(1) > bright(2)


def test_a_phone_has_neither_bass_nor_treble() -> None:
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE

    def kept(hertz: float) -> float:
        voice = (np.sin(2 * np.pi * 1000 * time) + np.sin(2 * np.pi * hertz * time)).astype(np.float32)
        spectrum = np.abs(np.fft.rfft(disturb.by_phone(voice)))
        return float(spectrum[round(hertz)] / spectrum[1000])

    assert kept(2000) > 0.9 and kept(100) < 0.1 and kept(5000) < 0.1


def test_the_same_seed_disturbs_the_same_way() -> None:
    sound = np.random.default_rng(3).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    a, b, c = (disturb.disturbed(sound, np.random.default_rng(seed)) for seed in (4, 4, 5))
    assert np.array_equal(a, b) and not np.array_equal(a, c) and a.shape == sound.shape


@pytest.mark.parametrize("n", [1, 7, 400])
def test_short_and_silent_sounds(n: int) -> None:
    for seed in range(6):
        got = disturb.disturbed(np.zeros(n, np.float32), np.random.default_rng(seed))
        assert got.shape == (n,) and np.isfinite(got).all()
        assert frame_levels(got, 160).max() < -60
