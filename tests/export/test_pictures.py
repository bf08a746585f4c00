from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from splatalk.errors import UserError
from splatalk.export.pictures import write_pictures
from splatalk.export.sound import Sound


def noise(n: int, channels: int):
    for i in range(n):
        yield np.random.default_rng(i).integers(0, 256, (9, 13, channels), np.uint8)


@pytest.mark.parametrize("channels", [3, 4])
def test_every_value_of_every_picture_comes_back(tmp_path, channels):
    sound = Sound.mono(np.zeros(1600, np.float32))
    assert write_pictures(tmp_path / "o", noise(3, channels), 3, 25.0, sound, {"consent": "Said yes."}) == 3
    told = json.loads((tmp_path / "o" / "manifest.json").read_text())
    assert told["n_frames"] == 3 and (told["width"], told["height"]) == (13, 9) and told["consent"] == "Said yes."
    assert told["alpha"] == ("straight" if channels == 4 else None) and told["sound"] == "sound.wav"
    for i, picture in enumerate(noise(3, channels)):
        raw = cv2.imread(str(tmp_path / "o" / (told["files"] % i)), cv2.IMREAD_UNCHANGED)
        back = cv2.cvtColor(raw, cv2.COLOR_BGRA2RGBA if channels == 4 else cv2.COLOR_BGR2RGB)
        np.testing.assert_array_equal(back, picture)


def test_interrupted_or_empty_leaves_nothing_and_other_folders_stay(tmp_path):
    def interrupted():
        yield from noise(2, 3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_pictures(tmp_path / "o", interrupted(), 3, 25.0, None, {})
    with pytest.raises(UserError, match="no frame"):
        write_pictures(tmp_path / "o", iter(()), 0, 25.0, None, {})
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").write_text("x")
    with pytest.raises(UserError, match="not an exported sequence"):
        write_pictures(tmp_path / "holiday", noise(1, 3), 1, 25.0, None, {})
