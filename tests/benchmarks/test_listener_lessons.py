"""What the listener is taught with is what it will hear."""

from __future__ import annotations

import numpy as np

from benchmarks.listener_lessons import LENGTH, at_offsets, disturbed, heard, inputs, spoken
from splatalk.speech import listener, read_audio
from tests.conftest import SAMPLE_SPEECH


def test_lessons_sound_as_live_sound_does() -> None:
    sound = read_audio(SAMPLE_SPEECH)[: 2 * 16000]
    state = listener.begin()
    live = np.stack([listener.spectrum(state, block) for block in sound.reshape(-1, listener.STEP)])
    typical = listener.begin().usual.typical
    power, mel = heard(sound)
    np.testing.assert_allclose(inputs(power[None], mel[None], typical)[0], live, atol=2e-4)


def test_another_microphone_is_soon_heard_alike() -> None:
    sound = read_audio(SAMPLE_SPEECH)[: 8 * 16000]
    power, mel = heard(sound)
    tilt = 10 ** (np.linspace(-1.0, 1.0, mel.shape[-1]) * 0.8)  # -8 to 8 dB
    typical = listener.begin().usual.typical
    plain, tilted = inputs(np.stack((power, power)), np.stack((mel, mel * tilt)), typical)
    apart = np.abs(plain - tilted).mean(1)[power > 1e-4]
    assert apart[:25].mean() > 2 * apart[-50:].mean()


def test_what_is_to_be_known_stands_at_its_offset() -> None:
    wanted, viseme = np.arange(100.0)[:, None], np.arange(100)
    known, shapes = at_offsets(wanted, viseme)
    for j, offset in enumerate(listener.OFFSETS):
        assert known[50, j, 0] == shapes[50, j] == 51 + offset
    assert known[0, -1, 0] == 0 and shapes[-1, 0] == 0, "silence before and after"


def test_short_pauses_belong_to_speaking() -> None:
    viseme = np.zeros(100, int)
    viseme[[20, 30, 60]] = 5
    np.testing.assert_array_equal(np.flatnonzero(spoken(viseme)), [*range(20, 31), 60])


def test_noise_is_added_and_nothing_moves_in_time() -> None:
    rng = np.random.default_rng(0)
    decibel = np.full((LENGTH, 2, 80), -60.0, np.float32)
    decibel[200:210] = 0.0
    bank = [(np.ones(LENGTH), np.ones((LENGTH, 2, 80)))]
    for _ in range(10):
        power, mel = disturbed(np.full(LENGTH, 1e-3), decibel, bank, rng)
        loud = np.flatnonzero(mel.mean((1, 2)) > 10 * np.median(mel.mean((1, 2))))
        assert (power >= 1e-3).all() and set(range(200, 210)) >= set(loud) and len(loud) >= 9
