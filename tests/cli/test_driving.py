"""What drives an avatar, from the command line."""

import json

import pytest

from splatalk.cli.perform import _span
from splatalk.errors import UserError
from tests.conftest import SAMPLE_SPEECH


def test_a_performance_is_made_cut_and_played_back(run_json, tiny_avatar_path, tmp_path):
    whole, part = tmp_path / "a.performance", tmp_path / "b.performance"
    made = run_json("perform", tiny_avatar_path, "--audio", SAMPLE_SPEECH, "--emotion", "happy:0.5", "-o", whole)
    assert made["ok"] and made["sound"] and whole.with_suffix(".wav").exists()
    smile = json.loads(whole.read_text())["columns"].index("mouthSmileLeft")
    assert json.loads(whole.read_text())["rows"][5][smile] >= 0.3
    cut = run_json("perform", tiny_avatar_path, "--performance", whole, "--cut", "1-2", "--join", whole, "-o", part)
    assert cut["frames"] == made["frames"] + 25
    shown = run_json("speak", tiny_avatar_path, "--performance", part, "--dry-run")
    assert shown["frames"] == cut["frames"] and len(shown["seconds"]) == -(-cut["frames"] // 25)
    table = run_json("perform", tiny_avatar_path, "--performance", part, "-o", tmp_path / "c.csv")
    assert table["ok"] and (tmp_path / "c.csv").read_text().startswith("time,browDownLeft")


def test_text_is_spoken(run, tiny_avatar_path):
    pytest.importorskip("espeakng_loader", reason="NOT TESTED: the extra `text` is not installed")
    result = run("speak", tiny_avatar_path, "--text", "Good morning, Ada.", "--style", "lively", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "the mouth follows: sound" in result.stdout and "yaw" in result.stdout


@pytest.mark.parametrize("words, said", [
    ((), "Nothing drives"),
    (("--audio", SAMPLE_SPEECH, "--text", "x"), "exclude"),
    (("--text", " ", "--dry-run"), "no text"),
    (("--text", "x", "--emotion", "jolly:1"), "no curve or emotion"),
    (("--text", "x", "--lip-scale", "9"), "lip scale"),
    (("--text", "x", "--voice", "xx-yy", "--dry-run"), "no voice"),
    (("--curves", "gone.csv"), "no file"),
    (("--text", "x", "--expression", "jawOpen"), "cannot be understood"),
    (("--audio", SAMPLE_SPEECH), "no name"),
    (("--text", "x", "--head", "sideways"), "no file"),
])  # fmt: skip
def test_what_cannot_be_meant_is_explained(run_json, tiny_avatar_path, words, said):
    facts = run_json("speak", tiny_avatar_path, *words)
    assert not facts["ok"] and said in facts["error"]["message"]


@pytest.mark.parametrize("text", ["x", "2", "3-1", "-1--2", "1-1"])
def test_a_part_must_be_a_part(text):
    with pytest.raises(UserError):
        _span(text)


def test_the_sound_that_is_given_is_not_written_over(run_json, tiny_avatar_path, tmp_path):
    sound = tmp_path / "hello.wav"
    sound.write_bytes(SAMPLE_SPEECH.read_bytes())
    refused = run_json("perform", tiny_avatar_path, "--audio", sound, "-o", tmp_path / "hello.performance")
    assert not refused["ok"] and "input" in refused["error"]["message"]
    assert sound.read_bytes() == SAMPLE_SPEECH.read_bytes()
