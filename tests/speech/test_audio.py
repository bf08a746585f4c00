from __future__ import annotations

import contextlib
import io
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from splatalk.errors import FormatError
from splatalk.speech.audio import SAMPLE_RATE, frame_levels, normalise_level, read_audio, speech_level


def tone(seconds: float, hertz: float = 220.0, level: float = 0.3, rate: int = SAMPLE_RATE) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def write_wav(path: Path, samples: np.ndarray, rate: int, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(np.repeat((samples * 32767).astype("<i2"), channels).tobytes())
    return path


@pytest.mark.parametrize("rate,channels", [(16_000, 1), (44_100, 2), (8_000, 1), (48_000, 2)])
def test_any_rate_becomes_16_khz_mono(tmp_path: Path, rate: int, channels: int) -> None:
    got = read_audio(write_wav(tmp_path / "a.wav", tone(1.0, rate=rate), rate, channels))
    assert got.dtype == np.float32 and abs(len(got) - SAMPLE_RATE) <= 2
    want = tone(1.0)[1000:15000]
    assert np.abs(got[1000:15000] - want).max() < 0.01


@pytest.mark.parametrize("suffix,codec", [("m4a", "aac"), ("flac", "flac"), ("mka", "pcm_s16le")])
def test_containers(tmp_path: Path, suffix: str, codec: str) -> None:
    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=SAMPLE_RATE, layout="mono")
        samples = (tone(1.0)[None] * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        for f in (frame, None):
            container.mux(stream.encode(f))
    got = read_audio(path)
    assert abs(len(got) - SAMPLE_RATE) < 2500
    assert abs(np.abs(got[4000:12000]).max() - 0.3) < 0.03


def test_bad_paths_and_files(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no sound here\n" * 50)
    picture = tmp_path / "video.mkv"
    with av.open(str(picture), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))
        for f in (frame, None):
            container.mux(stream.encode(f))
    empty = tmp_path / "empty.wav"
    empty.touch()
    for path in (tmp_path, tmp_path / "missing.wav", text, picture, empty):
        with pytest.raises(FormatError) as caught:
            read_audio(path)
        assert str(path) in caught.value.message and caught.value.hint


def _wav_bytes() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((tone(0.2) * 32767).astype("<i2").tobytes())
    return out.getvalue()


WAV = _wav_bytes()


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, len(WAV)), edits=st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=6))
@example(cut=43, edits=[])
@example(cut=len(WAV), edits=[(24, 0), (25, 0), (26, 0), (27, 0)])
@example(cut=len(WAV), edits=[(34, 32), (20, 3)])
@example(cut=len(WAV), edits=[(22, 64)])  # channels
@example(cut=len(WAV), edits=[(22, 8)])
def test_damaged_wav_is_sound_or_a_format_error(tmp_path: Path, cut: int, edits: list[tuple[int, int]]) -> None:
    data = bytearray(WAV[:cut])
    for place, value in edits:
        if place < len(data):
            data[place] = value
    path = tmp_path / "x.wav"
    path.write_bytes(data)
    try:
        got = read_audio(path)
    except FormatError:
        return
    assert got.ndim == 1 and got.dtype == np.float32 and np.isfinite(got).all() and np.abs(got).max(initial=0.0) <= 1.0


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=400))
def test_rubbish_is_a_format_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.mp3"
    path.write_bytes(data)
    with contextlib.suppress(FormatError):
        assert np.isfinite(read_audio(path)).all()


def test_level_is_normalised_but_faint_noise_stays_faint() -> None:
    loud = tone(2.0, level=0.5) * (np.arange(32000) % 8000 > 3000)
    for gain in (0.03, 0.2, 1.0):
        assert abs(speech_level(normalise_level(loud * np.float32(gain))) + 20.0) < 0.1
    noise = np.random.default_rng(0).normal(0, 1e-4, 32000).astype(np.float32)
    assert speech_level(normalise_level(noise)) < -45.0
    assert not normalise_level(np.zeros(1000, np.float32)).any()
    assert len(normalise_level(np.zeros(0, np.float32))) == 0


def test_frame_levels() -> None:
    levels = frame_levels(tone(1.0, level=0.5), 160)
    assert len(levels) == 100 and np.abs(levels[5:-5] - 20 * np.log10(0.5 / np.sqrt(2))).max() < 0.6
    assert len(frame_levels(np.zeros(161, np.float32), 160)) == 2
