from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.disturb import noise
from splatalk import assets
from splatalk.speech import PROSODY, load, prosody, read_audio, speech_windows, windows
from splatalk.speech.features import feature_groups
from splatalk.speech.prior import ARTICULATION, articulation
from splatalk.speech.prosody import pitch_and_voicing

SAMPLE_SPEECH = Path(__file__).resolve().parents[2] / "captures" / "ada_speech.wav"
needs_whisper = pytest.mark.skipif(
    not assets.is_cached("whisper_base"), reason="the asset whisper_base is not on this machine"
)
ENCODERS = ["mel", pytest.param("whisper", marks=needs_whisper)]


def voice(seconds: float, hertz: float = 120.0, seed: int = 0) -> np.ndarray:
    """Something like a vowel: a pulse train through two resonances, syllables at 4 Hz."""
    t = np.arange(round(seconds * 16000)) / 16000
    harmonics = sum(np.sin(2 * np.pi * hertz * k * t) / (1 + abs(hertz * k - 700) / 300) for k in range(1, 25))
    rng = np.random.default_rng(seed)
    sound = harmonics * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * t)) + rng.normal(0, 1e-3, len(t))
    return (0.1 * sound).astype(np.float32)


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("n", [0, 1, 319, 320, 321, 16000])
def test_shape(name: str, n: int) -> None:
    encoder = load(name)
    got = encoder.extract(voice(2.0)[:n])
    assert got.shape == (-(-n // 320), encoder.dim) and got.dtype == np.float32 and np.isfinite(got).all()


@pytest.mark.parametrize("name", ENCODERS)
def test_level_does_not_matter_and_runs_agree(name: str) -> None:
    encoder, sound = load(name), voice(2.0)
    base = encoder.extract(sound)
    assert np.array_equal(base, encoder.extract(sound))
    for gain in (0.05, 3.0):
        assert np.abs(encoder.extract(sound * np.float32(gain)) - base).max() < 0.02 * np.abs(base).max()


def test_mel_of_silence_is_zero_and_of_a_tone_is_its_band() -> None:
    encoder = load("mel")
    assert not encoder.extract(np.zeros(16000, np.float32)).any()
    low, high = (
        encoder.extract(np.sin(2 * np.pi * f * np.arange(16000) / 16000).astype(np.float32)) for f in (300, 3000)
    )
    assert low[25].argmax() < high[25].argmax()


@needs_whisper
def test_long_sound_is_seamless_at_the_window_borders() -> None:
    speech = read_audio(SAMPLE_SPEECH)
    encoder, sound = load("whisper"), np.resize(speech, 40 * 16000)
    whole, tail = encoder.extract(sound), encoder.extract(sound[20 * 16000 :])
    assert whole.shape == (2000, 512)
    spread = whole.std(0)
    steps = np.linalg.norm(np.diff(whole, axis=0) / spread, axis=1)
    border = 28 * 50
    assert steps[border - 2 : border + 2].max() < 1.3 * steps[200 : border - 50].max()
    lips = [articulation("whisper", part)[:, 0] for part in (whole[1100:1900], tail[100:900])]
    assert np.corrcoef(*lips)[0, 1] > 0.8  # another place in the 30 s window says much the same


@pytest.mark.parametrize("name", ENCODERS)
def test_articulation_rests_in_silence(name: str) -> None:
    encoder = load(name)
    got = articulation(name, np.zeros((40, encoder.dim), np.float32))
    assert got.shape == (40, len(ARTICULATION)) and not got.any()


def test_prosody_tells_voice_from_noise_and_silence() -> None:
    silence, hiss = np.zeros(32000, np.float32), np.random.default_rng(1).normal(0, 0.02, 32000).astype(np.float32)
    sound = np.concatenate((silence, voice(2.0), hiss))
    got = prosody(sound, 25.0, 150)
    assert got.shape == (150, len(PROSODY)) and got.dtype == np.float32 and np.isfinite(got).all()
    activity, voicing = got[:, PROSODY.index("activity")], got[:, PROSODY.index("voicing")]
    assert not got[:40].any()
    assert activity[55:95].mean() > 0.7 and voicing[55:95].mean() > 0.5
    assert activity[110:145].max() < 0.1 and voicing[110:145].mean() < 0.4


def test_a_hum_is_not_speech() -> None:
    t = np.arange(48000) / 16000
    hum = (0.01 * np.sin(2 * np.pi * 100 * t) + 0.005 * np.sin(2 * np.pi * 200 * t)).astype(np.float32)
    assert prosody(hum, 25.0, 75)[:, PROSODY.index("activity")].max() < 0.05


def test_pitch_is_relative_and_right() -> None:
    octaves, voicing = pitch_and_voicing(np.concatenate((voice(1.5, 100.0), voice(1.0, 200.0))))
    assert voicing[20:130].mean() > 0.7
    assert abs(np.median(octaves[20:130])) < 0.05
    assert abs(np.median(octaves[170:230]) - 1.0) < 0.05


def test_rumble_is_no_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brown noise is strongest far below any voice, where it looks periodic."""
    rumble = 0.1 * noise(5 * 16000, 2, np.random.default_rng(0))
    column = PROSODY.index("activity")
    assert prosody(rumble, 25.0, 125)[:, column].max() < 0.05
    module = sys.modules["splatalk.speech.prosody"]  # the package has a function of that name
    monkeypatch.setattr(module, "_RUMBLE_HZ", 0.0)
    assert prosody(rumble, 25.0, 125)[:, column].max() > 0.5


def test_windows_are_the_features_around_the_frame() -> None:
    features = np.arange(50, dtype=np.float32)[:, None] + 1.0
    got = windows(features, 25.0, 25.0, 50, 2, 2)
    assert got.shape == (50, 5, 1)
    assert np.allclose(got[10, :, 0], [9, 10, 11, 12, 13])
    assert np.allclose(got[0, :, 0], [0, 0, 1, 2, 3])
    assert np.allclose(got[49, :, 0], [48, 49, 50, 0, 0])


@settings(max_examples=50, deadline=None)
@given(
    rate=st.sampled_from([25.0, 50.0, 100.0]),
    fps=st.floats(5.0, 60.0),
    frames=st.integers(0, 40),
    steps=st.integers(0, 60),
)
def test_windows_take_any_rate_and_length(rate: float, fps: float, frames: int, steps: int) -> None:
    got = windows(np.ones((steps, 3), np.float32), rate, fps, frames, 3, 2)
    assert got.shape == (frames, 6, 3) and got.dtype == np.float32
    assert got.min(initial=0.0) >= 0.0 and got.max(initial=0.0) <= 1.0 + 1e-5


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("seconds", [0.0, 0.5, 3.0])
def test_speech_windows_fit_the_frames_whatever_the_sound(name: str, seconds: float) -> None:
    got = speech_windows(name, voice(3.0)[: round(16000 * seconds)], 25.0, 30)
    groups = feature_groups(got.shape[-1])
    assert got.shape == (30, 13, load(name).dim + len(PROSODY) + len(ARTICULATION))
    widths = [load(name).dim, 0, 0, 0, len(PROSODY), len(ARTICULATION)]
    assert [g.stop - g.start for g in groups.values()] == widths
    assert np.isfinite(got).all()


def test_unknown_encoder() -> None:
    with pytest.raises(ValueError, match="mel"):
        load("other")
