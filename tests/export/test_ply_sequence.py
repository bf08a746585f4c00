from __future__ import annotations

import json
import wave

import numpy as np
import pytest
import torch

from splatalk import files
from splatalk.errors import UserError
from splatalk.export.clip import Clip
from splatalk.export.ply import read_ply
from splatalk.export.ply_sequence import write_ply_sequence
from splatalk.export.sound import Sound
from splatalk.render.splats import Splats


def moving(n: int):
    for i in range(n):
        yield Splats(
            torch.full((4, 3), float(i)),
            torch.ones(4, 4),
            torch.ones(4, 3),
            torch.full((4,), 0.5),
            torch.zeros(4, 1, 3),
        )


def test_frames_sound_and_manifest(tmp_path):
    seen = []
    audio = np.sin(np.arange(1920) / 20).astype(np.float32)
    n = write_ply_sequence(
        tmp_path / "seq", Clip(moving(3), 3, 25.0, {"person": "x"}, Sound.mono(audio), lambda: seen.append(1))
    )
    assert n == len(seen) == 3
    manifest = json.loads((tmp_path / "seq/manifest.json").read_text())
    assert manifest["n_frames"] == 3 and manifest["fps"] == 25.0 and manifest["n_gaussians"] == 4
    assert manifest["units"] == "metres" and manifest["person"] == "x" and manifest["sound"] == "sound.wav"
    for i in range(3):
        assert read_ply(tmp_path / "seq" / (manifest["files"] % i)).means[0, 0] == i
    with wave.open(str(tmp_path / "seq/sound.wav")) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getnframes()) == (16000, 1, 1920)


def test_an_older_sequence_is_replaced_but_nothing_else_is(tmp_path):
    write_ply_sequence(tmp_path / "seq", Clip(moving(3), 3, 25.0, {}))
    write_ply_sequence(tmp_path / "seq", Clip(moving(1), 1, 25.0, {}))
    assert sorted(p.name for p in (tmp_path / "seq").iterdir()) == ["000000.ply", "manifest.json"]
    mine = tmp_path / "holiday"
    mine.mkdir()
    (mine / "photo.jpg").write_text("x")
    with pytest.raises(UserError, match="not an exported sequence"):
        write_ply_sequence(mine, Clip(moving(1), 1, 25.0, {}))
    assert [p.name for p in mine.iterdir()] == ["photo.jpg"]


def test_interrupted_or_empty_leaves_nothing(tmp_path):
    def breaking():
        yield from moving(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_ply_sequence(tmp_path / "seq", Clip(breaking(), 3, 25.0, {}))
    with pytest.raises(UserError, match="no frame"):
        write_ply_sequence(tmp_path / "seq", Clip(iter(()), 0, 25.0, {}))
    assert list(tmp_path.iterdir()) == []


def test_too_small_a_disk_is_told_at_the_first_frame(tmp_path, monkeypatch):
    class Usage:
        free = 100

    monkeypatch.setattr(files.shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(UserError, match="MB are needed"):
        write_ply_sequence(tmp_path / "seq", Clip(moving(3), 3, 25.0, {}))
    assert list(tmp_path.iterdir()) == []
