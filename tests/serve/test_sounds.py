from __future__ import annotations

import io
import wave

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splatalk.errors import FormatError, UserError
from splatalk.export.sound import Sound
from splatalk.export.wav import wav_bytes
from splatalk.serve import sounds
from splatalk.serve.sounds import Intake, decode


def a_wav(seconds: float = 0.5, rate: int = 24_000) -> bytes:
    time = np.arange(round(seconds * rate)) / rate
    return wav_bytes(Sound.mono(0.5 * np.sin(2 * np.pi * 220 * time), rate))


def test_a_sound_comes_back_at_its_own_rate_and_for_the_mouth():
    samples, sound = decode(a_wav(), "hello.wav")
    assert (sound.rate, sound.samples.shape) == (24_000, (1, 12_000))
    assert len(samples) == pytest.approx(8000, abs=200)
    with wave.open(io.BytesIO(wav_bytes(sound))) as file:
        assert (file.getframerate(), file.getnframes(), file.getsampwidth()) == (24_000, 12_000, 2)


def test_what_is_too_long_is_refused_before_it_fills_the_memory(monkeypatch):
    monkeypatch.setattr(sounds, "MAX_SOUND_S", 0.3)
    with pytest.raises(UserError, match=r"hello\.wav is longer than 0\.3 s"):
        decode(a_wav(), "hello.wav")


@pytest.mark.parametrize(
    "data",
    [b"", b"RIFF", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n", b"ffconcat version 1.0\nfile /etc/hostname\n",
     b"<?xml version='1.0'?><MPD/>", b"\x7fELF", b"PK\x03\x04"],
)  # fmt: skip
def test_what_is_no_sound_is_refused_by_its_own_name(data):
    with pytest.raises(FormatError, match=r"words\.mp3"):
        decode(data, "../../words.mp3")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 4000), st.binary(min_size=1, max_size=40), st.integers(0, 2000))
def test_a_damaged_sound_is_read_or_refused(at, noise, cut):
    data = bytearray(a_wav(0.1))
    data[at : at + len(noise)] = noise
    try:
        samples, _ = decode(bytes(data[: len(data) - cut]), "a.wav")
    except UserError:
        return
    assert np.isfinite(samples).all()


def test_the_intake_keeps_the_newest_second():
    intake = Intake()
    for k in range(20):
        intake.put(np.full(1600, k, np.float32), float(k))
    samples, arrived = intake.take()
    assert len(samples) == 16_000
    assert (samples[0], samples[-1], arrived) == (10.0, 19.0, 19.0)
    assert intake.dropped == 16_000
    assert len(intake.take()[0]) == 0
