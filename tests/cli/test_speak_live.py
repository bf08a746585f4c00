"""``splatalk speak --live``: sound from a pipe, a film and the delays."""

from __future__ import annotations

import json

import av
import pytest
from click.testing import CliRunner

from splatalk.cli import main
from tests.conftest import SAMPLE_SPEECH


@pytest.fixture
def live(tiny_avatar_path):
    """Runs ``speak --live --json`` with bytes as standard input."""

    def call(sound: bytes, *words: object) -> dict:
        arguments = ["speak", tiny_avatar_path, "--live", "--size", "64", "--json", *words]
        result = CliRunner().invoke(main, [str(a) for a in arguments], input=sound)
        assert result.stderr == ""
        return json.loads(result.stdout)

    return call


def test_a_wav_from_a_pipe_becomes_a_film(live, tmp_path):
    sound = SAMPLE_SPEECH.read_bytes()[: 44 + 2 * 16000]
    facts = live(sound, "-o", tmp_path / "o.mp4", "--lookahead", "80")
    seconds = facts["sound_s"]
    assert facts["ok"] and facts["frames"] == round(25 * seconds + 0.49) and facts["lookahead_ms"] == 80
    assert 0 < facts["drive_p50_ms"] <= facts["drive_p99_ms"] < facts["drive_and_draw_p99_ms"]
    assert facts["first_frame_ms"] > 80
    with av.open(str(tmp_path / "o.mp4")) as container:
        assert container.streams.video[0].frames == facts["frames"]
        assert float(container.streams.audio[0].duration * container.streams.audio[0].time_base) == pytest.approx(
            seconds, abs=0.1
        )


def test_raw_samples_without_a_film(live):
    facts = live(bytes(2 * 8000), "--rate", "8000", "--head", "still")
    assert facts["ok"] and facts["frames"] == 25 and facts["output"] is None


def test_what_cannot_be_meant(live, tmp_path):
    assert "No sound" in live(b"")["error"]["message"]
    assert "cannot also" in live(b"", "--text", "hello")["error"]["message"]
    assert "damaged" in live(b"RIFF\0\0\0\0WAVEfmt \x01\0\0\0\1\0")["error"]["message"]
