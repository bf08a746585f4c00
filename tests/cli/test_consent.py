"""Consent on the command line: an option, a file, a terminal that is asked, a script that goes on without."""

from __future__ import annotations

import json
import os
import sys

import pytest
from click.testing import CliRunner

import splatalk.capture
from splatalk import progress
from splatalk.cli import consent as asking
from splatalk.cli import main


@pytest.fixture
def kept(monkeypatch, tmp_path):
    """Runs ``splatalk capture`` with a stand-in for the tracking; returns what would be kept, and the result."""
    (tmp_path / "me.mp4").write_bytes(b"video")
    asked = []

    def record(*_, consent, **__):
        asked.append(consent)
        raise KeyboardInterrupt

    monkeypatch.setattr(splatalk.capture, "record", record)

    def call(*words, answers=None):
        asked.clear()
        monkeypatch.setattr(asking, "_at_terminal", lambda: answers is not None)
        words = ["capture", str(tmp_path / "me.mp4"), "-o", str(tmp_path / "me.capture"), *map(str, words)]
        result = CliRunner().invoke(main, words, input=answers)
        return (asked[0] if asked else "nothing made"), result

    return call


def test_yes_on_a_terminal_is_followed_by_who_and_what_for(kept):
    told, result = kept(answers="y\n\n  Ada\n\na museum guide\n2026-05-03\n")
    assert told["subject"] == told["given_by"] == "Ada" and told["purpose"] == "a museum guide"
    assert told["date"] == "2026-05-03" and told["recorded"] and told["statement"]
    assert "me.mp4" in result.stderr and "[y/N]" in result.stderr
    told, _ = kept(answers="y\nAda\nHer mother\n\n\n")
    assert told["given_by"] == "Her mother" and "purpose" not in told and "date" not in told


@pytest.mark.parametrize("answers", ["\n", "n\n"])
def test_no_is_the_default_and_stops(kept, answers):
    told, result = kept(answers=answers)
    assert told == "nothing made" and result.exit_code == 2 and "Ask them first" in result.stderr


def test_leaving_the_questions_makes_nothing(kept):
    told, result = kept(answers="y\n")
    assert told == "nothing made" and result.exit_code != 0


def test_options_are_not_asked_about(kept, tmp_path):
    told, _ = kept("--consent", "I am the person in it.", answers="")
    assert told["statement"] == "I am the person in it."
    (tmp_path / "c.json").write_text(json.dumps({"subject": "Ada", "date": "2026-05-03"}))
    told, _ = kept("--consent-file", tmp_path / "c.json", answers="")
    assert told["subject"] == "Ada" and told["date"] == "2026-05-03"


def test_a_script_is_reminded_and_goes_on(kept):
    told, result = kept()
    assert told is None and "--consent" in result.stderr


def test_a_terminal_is_told_from_a_pipe(monkeypatch):
    ends = [*os.openpty(), *os.pipe()]
    terminal, pipe = (os.fdopen(end, "rb", buffering=0) for end in ends[1:3])
    monkeypatch.setattr(sys, "stderr", terminal)
    for stdin, expected in ((terminal, True), (pipe, False)):
        monkeypatch.setattr(sys, "stdin", stdin)
        assert asking._at_terminal() is expected
    progress.configure(quiet=True)
    monkeypatch.setattr(sys, "stdin", terminal)
    assert not asking._at_terminal(), "with --json and --quiet nothing is asked"
    for end in (ends[0], ends[3]):
        os.close(end)


@pytest.mark.parametrize("words", [["--consent", " "], ["--consent", "a" * 3000], ["--consent-file", "/none.json"]])
def test_what_is_no_consent_is_refused(kept, words):
    told, result = kept(*words)
    assert told == "nothing made" and result.exit_code == 2


def test_one_of_the_two(kept, tmp_path):
    told, result = kept("--consent", "Yes.", "--consent-file", tmp_path / "c.json")
    assert told == "nothing made" and result.exit_code == 2
