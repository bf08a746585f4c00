"""``splatalk speak --listen-to``: two sounds, one film."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner

from splatalk.capture.dataset import write_wave
from splatalk.cli import main
from splatalk.export.sound import Sound, mixed
from splatalk.speech import read_audio
from tests.conftest import SAMPLE_SPEECH


def run(*words: object) -> dict:
    return json.loads(CliRunner().invoke(main, [str(w) for w in (*words, "--json")]).stdout)


def test_the_film_lasts_as_long_as_both_and_holds_both_sounds(tiny_avatar_path: Path, tmp_path: Path) -> None:
    words = read_audio(SAMPLE_SPEECH)[: round(1.2 * 16000)]
    write_wave(tmp_path / "mine.wav", words)
    write_wave(tmp_path / "theirs.wav", np.concatenate((np.zeros(24000, np.float32), words)))
    facts = run(
        "speak", tiny_avatar_path, "--audio", tmp_path / "mine.wav", "--listen-to", tmp_path / "theirs.wav",
        "-o", tmp_path / "o.mp4", "--size", "64",
    )  # fmt: skip
    assert facts["ok"] and facts["frames"] == pytest.approx(2.7 * 25, abs=1)
    heard = read_audio(tmp_path / "o.mp4")
    for start in (0, 24000):
        assert np.sqrt(np.mean(heard[start : start + 19200] ** 2)) > 0.3 * np.sqrt(np.mean(words**2))
    with av.open(str(tmp_path / "o.mp4")) as container:
        assert container.streams.video[0].frames == facts["frames"]


@pytest.mark.parametrize("other", ["--curves", "--video", "--performance"])
def test_what_it_does_not_go_with(other: str, tmp_path: Path) -> None:
    for name in ("a.avatar", "a.wav", "b"):
        (tmp_path / name).write_text("x")
    told = run("speak", tmp_path / "a.avatar", "--listen-to", tmp_path / "a.wav", other, tmp_path / "b", "--dry-run")
    assert not told["ok"] and "--listen-to" in told["error"]["message"]


def test_sounds_are_mixed_at_the_higher_rate_and_never_clip() -> None:
    low = Sound.mono(0.9 * np.sin(np.arange(16000) * 0.05), 16000)
    high = Sound(np.full((2, 24000), 0.6, np.float32), 48000)
    both = mixed(low, high)
    assert both.rate == 48000 and both.samples.shape == (2, 48000)
    assert np.abs(both.samples).max() <= 1.0
    rest = both.samples[0, 24000:]
    assert np.abs(rest).max() > 0.4, "where one is over the other goes on"
    np.testing.assert_allclose(both.samples[0], both.samples[1], atol=1e-6)
