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


def hearing(monkeypatch, offset):
    """The speech model hears a ramp, and its comparison with the lips gives ``offset``."""
    ramp = np.arange(200, dtype=np.float32)[:, None]
    monkeypatch.setattr(sound, "load", lambda _: SimpleNamespace(extract=lambda _: ramp))
    monkeypatch.setattr(sound, "offset_of", lambda *_: offset)


@pytest.mark.parametrize(("seconds", "lost"), [(0.16, range(96, 100)), (-0.1, range(3))])
def test_moved_when_the_evidence_is_clear(monkeypatch, seconds, lost):
    hearing(monkeypatch, Offset(seconds, 0.6, 0.2, True))
    clip = solved()
    heard = sound.in_time(SAMPLES, sound.listen(SAMPLES), clip, 25.0)
    samples = heard.samples
    assert heard.moved == seconds and len(samples) == len(SAMPLES)
    assert heard.features[100, 0] == 100 + round(seconds * 50) and len(heard.features) == 200
    shift = round(seconds * 16000)
    assert samples[30000] == SAMPLES[30000 + shift]
    assert np.flatnonzero(~clip.tracks.valid).tolist() == list(lost)
    assert all(clip.reasons[i] for i in lost) and clip.reasons[97] == "blurred"


def test_left_alone_without_clear_evidence(monkeypatch):
    hearing(monkeypatch, Offset(0.0, 0.3, 0.2, False))
    clip = solved()
    heard = sound.in_time(SAMPLES, sound.listen(SAMPLES), clip, 25.0)
    assert heard.moved == 0.0 and heard.samples is SAMPLES and clip.tracks.valid.all() and heard.offset.score == 0.3


def test_said_and_left_alone_without_the_model(monkeypatch, capsys):
    def missing(*_):
        raise AssetError("The model file whisper_base cannot be had.")

    monkeypatch.setattr(sound, "load", missing)
    heard = sound.in_time(SAMPLES, sound.listen(SAMPLES), solved(), 25.0)
    assert heard.moved == 0.0 and heard.offset is None and heard.features is None
    assert "not checked" in capsys.readouterr().err
