"""Sound that the lips say is late or early is moved, and frames that it then lacks are not used."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from splatalk.capture import sound
from splatalk.errors import AssetError
from splatalk.speech.sync import Offset

SAMPLES = np.arange(4 * 16000, dtype=np.float32)


def solved():
    tracks = SimpleNamespace(landmarks_head=np.zeros((100, 478, 3)), valid=np.ones(100, bool))
    return SimpleNamespace(tracks=tracks, reasons={97: "blurred"})


@pytest.mark.parametrize(("seconds", "lost"), [(0.16, range(96, 100)), (-0.1, range(3))])
def test_moved_when_the_evidence_is_clear(monkeypatch, seconds, lost):
    monkeypatch.setattr(sound, "estimate_offset", lambda *_: Offset(seconds, 0.6, 0.2, True))
    clip = solved()
    samples, delay = sound.in_time(SAMPLES, clip, 25.0)
    assert delay == seconds and len(samples) == len(SAMPLES)
    shift = round(seconds * 16000)
    assert samples[30000] == SAMPLES[30000 + shift]
    assert np.flatnonzero(~clip.tracks.valid).tolist() == list(lost)
    assert all(clip.reasons[i] for i in lost) and clip.reasons[97] == "blurred"


def test_left_alone_without_clear_evidence(monkeypatch):
    monkeypatch.setattr(sound, "estimate_offset", lambda *_: Offset(0.0, 0.3, 0.2, False))
    clip = solved()
    samples, delay = sound.in_time(SAMPLES, clip, 25.0)
    assert delay == 0.0 and samples is SAMPLES and clip.tracks.valid.all()


def test_said_and_left_alone_without_the_model(monkeypatch, capsys):
    def missing(*_):
        raise AssetError("The model file whisper_base cannot be had.")

    monkeypatch.setattr(sound, "estimate_offset", missing)
    _, delay = sound.in_time(SAMPLES, solved(), 25.0)
    assert delay == 0.0 and "not checked" in capsys.readouterr().err
