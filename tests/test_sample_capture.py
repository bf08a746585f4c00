"""The sample that `make demo` enrols: small, licensed, and what its README says."""

from __future__ import annotations

import os
import subprocess
import sys
import wave
from pathlib import Path

import av
import numpy as np
import pytest

CAPTURES = Path(__file__).resolve().parent.parent / "captures"
SHARED = Path(os.environ.get("SPLATALK_SHARED", CAPTURES.parent.parent / "shared")) / "captures"


def test_small_and_licensed():
    assert sum(p.stat().st_size for p in CAPTURES.rglob("*") if p.is_file()) <= 4e6
    assert "Copyright (c) 2020 USC Institute for Creative Technologies" in (
        CAPTURES / "ICT-FaceKit-LICENSE.txt"
    ).read_text(encoding="utf-8")


def test_the_clip():
    with av.open(str(CAPTURES / "ada_sample.mp4")) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        assert (video.width, video.height, video.average_rate) == (512, 512, 25)
        times = [float(frame.pts * video.time_base) for frame in container.decode(video)]
        assert times == [pytest.approx(i / 25) for i in range(683)]
        assert abs(float(sound.duration * sound.time_base) - 27.32) < 0.06


def test_the_speech_begins_and_ends_in_silence():
    with wave.open(str(CAPTURES / "ada_speech.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert len(samples) / 16000 == pytest.approx(7.8)
    assert np.abs(samples).max() > 5000
    assert np.abs(samples[:1600]).max() < 50 and np.abs(samples[-1600:]).max() < 50


def test_both_can_be_made_again(tmp_path):
    if not (SHARED / "ada.mp4").is_file():
        pytest.skip(f"NOT TESTED: the recording {SHARED / 'ada.mp4'} is not here ($SPLATALK_SHARED)")
    script = CAPTURES / "make_sample.py"
    subprocess.run([sys.executable, script, SHARED, "--out", tmp_path], check=True, capture_output=True)
    for name in ("ada_sample.mp4", "ada_speech.wav"):
        assert (tmp_path / name).read_bytes() == (CAPTURES / name).read_bytes(), name
