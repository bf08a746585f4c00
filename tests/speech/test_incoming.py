"""Sound from a pipe: every layout becomes the same samples, and damage is one clear error."""

from __future__ import annotations

import io
import struct
import wave

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splatalk.errors import FormatError
from splatalk.speech.incoming import PcmFormat, Resampler, from_pipe


def tone(seconds: float, rate: int) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def wav(samples: np.ndarray, rate: int, channels: int = 1, announced: int | None = None) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat((samples * 32767).astype("<i2"), channels).tobytes())
    data = out.getvalue()
    return data if announced is None else data[:40] + struct.pack("<I", announced) + data[44:]


class Trickle(io.RawIOBase):
    """A pipe that never gives more than a few bytes at once."""

    def __init__(self, data: bytes, most: int) -> None:
        self.data, self.most = data, most

    def read(self, size: int = -1) -> bytes:
        taken, self.data = self.data[: min(size, self.most)], self.data[min(size, self.most) :]
        return taken


@pytest.mark.parametrize("announced", [None, 0, 0xFFFFFFFF])
@pytest.mark.parametrize("most", [7, 1 << 20])
def test_wav_of_a_pipe(announced: int | None, most: int) -> None:
    sound = tone(0.31, 16000)
    pieces = list(from_pipe(Trickle(wav(sound, 16000, 2, announced), most)))
    assert max(map(len, pieces)) <= 320
    assert np.abs(np.concatenate(pieces) - sound).max() < 1e-4


def test_raw_samples() -> None:
    sound = tone(0.25, 16000)
    got = np.concatenate(list(from_pipe(io.BytesIO((sound * 32767).astype("<i2").tobytes() + b"\x01"))))
    assert np.abs(got - sound).max() < 1e-4


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_other_rates_become_the_same_tone(rate: int) -> None:
    got = np.concatenate(list(from_pipe(io.BytesIO(wav(tone(1.0, rate), rate)))))
    assert abs(len(got) - 16000) < 50
    spectrum = np.abs(np.fft.rfft(got[:15900] * np.hanning(15900)))
    assert abs(spectrum.argmax() * 16000 / 15900 - 440) < 2
    assert np.sqrt(np.mean(got[2000:14000] ** 2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)


def test_resampling_does_not_depend_on_the_pieces() -> None:
    sound = tone(0.5, 44100)
    whole, parts = Resampler(44100), Resampler(44100)
    a = np.concatenate((whole(sound), whole.rest()))
    b = np.concatenate([*(parts(p) for p in np.array_split(sound, 37)), parts.rest()])
    assert np.abs(a - b).max() < 1e-6


@pytest.mark.parametrize(
    "body", [b"", b"fmt \x10\x00\x00\x00" + bytes(16), b"fmt \x02\x00\x00\x00\x01\x00data\x00\x00\x00\x00",
             b"data\x00\x00\x00\x00", b"LIST\xff\xff\xff\x7f"],
)  # fmt: skip
def test_a_damaged_header_is_one_error(body: bytes) -> None:
    with pytest.raises(FormatError):
        list(from_pipe(io.BytesIO(b"RIFF\x00\x00\x00\x00WAVE" + body)))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_sound_or_one_error(data: bytes, as_wav: bool) -> None:
    begun = b"RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00" if as_wav else b""
    try:
        pieces = list(from_pipe(io.BytesIO(begun + data)))
    except FormatError as error:
        assert error.hint
    else:
        assert all(np.isfinite(p).all() and np.abs(p).max(initial=0) <= 1.2 for p in pieces)


def test_float_samples_that_are_no_numbers_become_numbers() -> None:
    got = PcmFormat(16000, 1, "<f4").decode(np.array([np.nan, np.inf, -5.0, 0.5], "<f4").tobytes())
    assert got.tolist() == [0.0, 1.0, -1.0, 0.5]
