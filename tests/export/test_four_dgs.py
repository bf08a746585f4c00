from __future__ import annotations

import io
import wave

import fourdgs
import numpy as np
import pytest
from fourdgs.validate import validate

from splatalk.errors import UserError
from splatalk.export import four_dgs
from splatalk.export.axes import half_turn
from splatalk.export.clip import Clip
from splatalk.export.four_dgs import write_4dgs
from splatalk.export.sound import Sound
from splatalk.render import Camera
from tests.export.people import nodding, picture, psnr
from tests.export.readers import four_dgs_at

CAMERA = Camera(160, 160, 400.0, 400.0, 80.0, 80.0, np.eye(4))
VOICE = Sound.mono(np.sin(np.arange(1600) / 9).astype(np.float32))


@pytest.mark.parametrize("coefficients", [1, 4])
def test_its_own_library_reads_every_frame(tmp_path, coefficients):
    assert write_4dgs(tmp_path / "a.4dgs", Clip(nodding(4, 300, coefficients), 4, 25.0, {}, VOICE)) == 4
    scene = fourdgs.read(str(tmp_path / "a.4dgs"))
    for i, splats in enumerate(nodding(4, 300, coefficients)):
        splats.sh[:, 0].clamp_(-1.77, 1.77)  # constant colours stay within 0..1
        read = four_dgs_at(scene, i / 25)
        assert len(read) == 300
        assert psnr(picture(half_turn(read), CAMERA), picture(splats, CAMERA)) > 40, f"frame {i}"
    first, second = nodding(2, 300)
    between = (first.means + second.means) / 2
    moved = half_turn(four_dgs_at(scene, 0.5 / 25)).means
    assert (moved.mean(0) - between.mean(0)).abs().max() < 1e-4, "half way between two frames"


def test_its_own_validator_finds_nothing_and_everything_is_told(tmp_path):
    write_4dgs(tmp_path / "a.4dgs", Clip(nodding(3), 3, 25.0, {"consent": "Said yes."}, VOICE))
    report = validate((tmp_path / "a.4dgs").read_bytes())
    assert report.ok and [str(f) for f in report.findings if f.severity != "note"] == []
    scene = fourdgs.read(str(tmp_path / "a.4dgs"))
    told = scene.header.attributes
    assert told["consent"] == "Said yes." and told["coordinate_system"] == "y-up-right-handed"
    assert told["color_space"] == "srgb-rec709-display" and "metres" in told["units"]
    with wave.open(io.BytesIO(scene.audio_sources[0].data)) as sound:
        assert (sound.getframerate(), sound.getnframes()) == (16000, 1600)


def test_interrupted_or_empty_or_too_long_leaves_nothing(tmp_path, monkeypatch):
    def interrupted():
        yield from nodding(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_4dgs(tmp_path / "a.4dgs", Clip(interrupted(), 3, 25.0, {}))
    with pytest.raises(UserError, match="no frame"):
        write_4dgs(tmp_path / "a.4dgs", Clip(iter(()), 0, 25.0, {}))
    monkeypatch.setattr(four_dgs, "MAX_GAUSSIAN_FRAMES", 1000)
    with pytest.raises(UserError, match="too long"):
        write_4dgs(tmp_path / "a.4dgs", Clip(nodding(4), 4, 25.0, {}))
    assert list(tmp_path.iterdir()) == []
