from __future__ import annotations

import json
import wave

import numpy as np
import pytest

from splatalk.errors import UserError
from splatalk.export import splat4d
from splatalk.export.clip import Clip
from splatalk.export.sound import Sound
from splatalk.export.splat4d import write_splat4d
from splatalk.render import Camera
from tests.export.people import nodding, picture, psnr
from tests.export.readers import splat4d_frame

CAMERA = Camera(160, 160, 400.0, 400.0, 80.0, 80.0, np.eye(4))
VOICE = Sound.mono(np.sin(np.arange(1600) / 9).astype(np.float32))


@pytest.mark.parametrize("coefficients", [1, 4])
def test_its_own_program_decodes_every_frame(tmp_path, coefficients):
    assert write_splat4d(tmp_path / "a.splat4d", Clip(nodding(3, 300, coefficients), 3, 25.0, {})) == 3
    for i, splats in enumerate(nodding(3, 300, coefficients)):
        seen = picture(splats, CAMERA).clip(0, 1)
        assert psnr(picture(splat4d_frame(tmp_path / "a.splat4d", i), CAMERA), seen) > 34, f"frame {i}"


def test_sound_and_facts_stand_beside_it(tmp_path):
    write_splat4d(tmp_path / "a.splat4d", Clip(nodding(2), 2, 25.0, {"consent": "Said yes."}, VOICE))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.splat4d", "a.splat4d.json", "a.splat4d.wav"]
    told = json.loads((tmp_path / "a.splat4d.json").read_text())
    assert told["consent"] == "Said yes." and told["fps"] == 25.0 and told["sound"] == "a.splat4d.wav"
    assert "y down" in told["axes"] and "sRGB" in told["colour"]
    with wave.open(str(tmp_path / "a.splat4d.wav")) as sound:
        assert sound.getnframes() == 1600


def test_interrupted_failing_or_missing_leaves_nothing(tmp_path, monkeypatch):
    def interrupted():
        yield from nodding(2)
        raise KeyboardInterrupt

    def changing():
        yield from nodding(2, 30)
        yield from nodding(1, 40)

    with pytest.raises(KeyboardInterrupt):
        write_splat4d(tmp_path / "a.splat4d", Clip(interrupted(), 3, 25.0, {}, VOICE))
    with pytest.raises(UserError, match="no frame"):
        write_splat4d(tmp_path / "a.splat4d", Clip(iter(()), 0, 25.0, {}, VOICE))
    with pytest.raises(UserError, match="expected 30 splats"):
        write_splat4d(tmp_path / "a.splat4d", Clip(changing(), 3, 25.0, {}, VOICE))
    monkeypatch.setattr(splat4d, "program", lambda: None)
    with pytest.raises(UserError, match="not installed"):
        write_splat4d(tmp_path / "a.splat4d", Clip(nodding(1), 1, 25.0, {}))
    assert list(tmp_path.iterdir()) == []
