from __future__ import annotations

import pytest

from splatalk import progress


@pytest.fixture(autouse=True)
def _loud():
    progress.configure(quiet=False)
    yield
    progress.configure(quiet=False)


def test_plain_lines_when_there_is_no_terminal(capsys, monkeypatch):
    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr(progress._PlainBar.__init__, "__defaults__", (lambda: float(next(clock)),))
    with progress.bar("Training", 10, unit="step") as step:
        for i in range(10):
            step(1, loss=0.5 / (i + 1))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4, "one every five seconds and one at the end"
    assert lines[0] == "Training: 3/10 steps, 2.0 s/step, 0:14 left, loss 0.1667"
    assert lines[-1] == "Training: 10 steps, 2.0 s/step, took 0:22, loss 0.05"


def test_steps_of_an_earlier_run_do_not_count_as_speed():
    rate = progress._Rate()
    assert rate(0.1, 5000) == 0.0
    assert rate(2.1, 5010) == pytest.approx(5.0)


def test_speed_is_that_of_the_last_half_minute():
    rate = progress._Rate()
    for second in range(100):
        rate(second, second)
    for second in range(100, 200):
        speed = rate(second, 99 + (second - 99) * 10)
    assert speed == pytest.approx(10.0)


def test_quiet_writes_nothing(capsys):
    progress.configure(quiet=True)
    progress.note("hello")
    with progress.bar("Work", 2) as step:
        step()
        step(1, loss=1.0)
    assert capsys.readouterr() == ("", "")


def test_a_bar_on_a_terminal_closes_and_nests(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with progress.bar("Outer", 2) as outer:
        with progress.bar("Inner", 0) as inner:
            inner(3)
            progress.note("a note [with brackets]")
        outer(2, loss=0.25)
    shown = capsys.readouterr().err
    assert "a note [with brackets]" in shown
    assert progress._live is None


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (75, "1:15"), (3675, "1:01:15"), (-3, "0:00")])
def test_format_seconds(seconds, text):
    assert progress.format_seconds(seconds) == text
