"""Training as a whole: it learns, the same seed gives the same avatar, and an interruption changes nothing."""

from __future__ import annotations

import json

import pytest
import torch

from splatalk import avatar as avatars
from splatalk.train.run import train
from tests.conftest import TINY


class Stop(Exception):
    """Stands for a kill in the middle of training."""


def state(path):
    return avatars.load(path).state_dict()


def test_the_loss_falls_and_the_log_says_so(tiny_avatar_path):
    lines = [json.loads(x) for x in (tiny_avatar_path.parent / "work" / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == TINY.static_iterations + TINY.speech_iterations - 1
    assert lines[-1]["l1"] < 0.7 * lines[0]["l1"]
    assert (tiny_avatar_path.parent / "work" / "preview.jpg").stat().st_size > 5000


def test_interrupted_and_resumed_equals_uninterrupted(sample_capture, tiny_avatar_path, tmp_path):
    def kill(line):
        if line["step"] >= 50:
            raise Stop

    work, out = tmp_path / "work", tmp_path / "again.avatar"
    with pytest.raises(Stop):
        train(sample_capture, out, TINY, work=work, on_log=kill)
    assert not out.exists()
    train(sample_capture, out, TINY, work=work)
    straight, resumed = state(tiny_avatar_path), state(out)
    assert straight.keys() == resumed.keys()
    for name, value in straight.items():
        assert torch.equal(value, resumed[name]), name


def test_a_checkpoint_of_another_seed_is_not_used(sample_capture, tiny_avatar_path, tmp_path):
    work = tiny_avatar_path.parent / "work"
    train(sample_capture, tmp_path / "other.avatar", TINY, seed=1, work=work)
    a, b = state(tiny_avatar_path), state(tmp_path / "other.avatar")
    assert a["gaussians.means"].shape != b["gaussians.means"].shape or not torch.equal(
        a["gaussians.means"], b["gaussians.means"]
    )
