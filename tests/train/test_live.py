"""The encoders for live driving: fitted with every avatar, kept in its file, the same every time."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import torch

from splatalk import avatar as avatars
from splatalk.avatar import file as avatar_file
from splatalk.errors import FormatError
from splatalk.speech.live import LOOKAHEADS_S, key
from splatalk.train.live import fit_live


def changed_header(path, out, change):
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    ours = json.loads(header["__metadata__"]["splatalk"])
    change(ours)
    header["__metadata__"]["splatalk"] = json.dumps(ours)
    text = json.dumps(header).encode()
    out.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])
    return out


def test_training_leaves_an_encoder_for_every_lookahead(tiny_avatar_path, sample_capture):
    kept = avatars.load(tiny_avatar_path).live_encoder
    again = fit_live(avatars.load(tiny_avatar_path), sample_capture)
    assert set(kept) == set(again) == {key(s) for s in LOOKAHEADS_S}
    for name, encoder in again.items():
        for a, b in zip(kept[name].state_dict().values(), encoder.state_dict().values(), strict=True):
            assert torch.equal(a, b)


def test_it_follows_the_lips_of_the_recording(tiny_avatar_path, sample_capture):
    from splatalk.speech.live import heard, live_windows

    person = avatars.load(tiny_avatar_path)
    truth = person.mouth_basis.encode(sample_capture.tracks.landmarks_head)
    n, frames = sample_capture.n_frames, sample_capture.train_frames()
    windows = live_windows(heard(sample_capture.audio, sample_capture.fps, n), sample_capture.fps, n, 0.16)
    with torch.no_grad():
        said = person.live_encoder["160"](torch.from_numpy(windows))[0].numpy()
    assert np.corrcoef(said[frames, 0], truth[frames, 0])[0, 1] > 0.5


def test_an_avatar_without_one_is_written_for_older_readers(tiny_avatar_path, tmp_path):
    person = avatars.load(tiny_avatar_path)
    assert avatar_file.read_header(tiny_avatar_path)["version"] == 2
    person.set_live_encoder(None)
    avatars.save(person, tmp_path / "old.avatar")
    header = avatar_file.read_header(tmp_path / "old.avatar")
    assert header["version"] == 1
    assert avatars.load(tmp_path / "old.avatar").live_encoder is None


def test_an_encoder_of_another_listener_is_left_out(tiny_avatar_path, tmp_path):
    path = changed_header(tiny_avatar_path, tmp_path / "x.avatar", lambda h: h["live_encoder"].update(listener="0"))
    assert avatars.load(path).live_encoder is None


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h["live_encoder"]["encoders"].update({"x": h["live_encoder"]["encoders"].pop("80")}),
        lambda h: h["live_encoder"]["encoders"]["80"].update(dim=10**9),
        lambda h: h["live_encoder"]["encoders"]["80"].update(token_dim=10**9),
        lambda h: h["live_encoder"]["encoders"]["80"].update(window=5),
        lambda h: h["live_encoder"].pop("listener"),
        lambda h: h.update(live_encoder=3),
        lambda h: h.update(live_encoder=None),
    ],
)
def test_a_wrong_encoder_is_one_clear_error(tiny_avatar_path, tmp_path, change):
    with pytest.raises(FormatError):
        avatars.load(changed_header(tiny_avatar_path, tmp_path / "bad.avatar", change))
