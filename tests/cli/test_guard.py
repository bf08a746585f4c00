"""How a command ends when something goes wrong that is not in its code."""

from __future__ import annotations

import errno
import json
import subprocess
import sys

import click
import pytest

from splatalk.cli.guard import resumable, run_guarded
from splatalk.errors import CaptureError


def ending(error: BaseException, as_json: bool = False) -> int:
    def work() -> None:
        raise error

    return run_guarded(work, as_json)


def test_success_is_zero_and_exit_codes_pass():
    assert run_guarded(lambda: None, False) == 0
    assert run_guarded(lambda: 1, False) == 1


def test_user_error(capsys):
    assert ending(CaptureError("There is no face.", "Show one.")) == 2
    assert capsys.readouterr().err == "Error: There is no face.\nShow one.\n"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "/x/a.mp4"),
        RuntimeError("SafetensorError: I/O error: No space left on device (os error 28)"),
    ],
)
def test_full_disk_is_the_users_error(capsys, error):
    assert ending(error) == 2
    assert "disk is full" in capsys.readouterr().err


def test_interrupt_says_how_to_go_on(capsys):
    def work() -> None:
        with resumable("Run the same command again."):
            raise KeyboardInterrupt

    assert run_guarded(work, False) == 130
    assert capsys.readouterr().err == "Stopped.\nRun the same command again.\n"
    assert ending(KeyboardInterrupt()) == 130
    assert ending(click.Abort()) == 130


def test_terminated_cleans_up_and_exits_as_interrupted(tmp_path):
    script = f"""
import sys, time
from pathlib import Path
from splatalk import files
from splatalk.cli.guard import resumable, run_guarded

def work():
    with resumable("Go on."), files.atomic_path(Path({str(tmp_path / "a.bin")!r})) as temporary:
        temporary.write_bytes(b"half")
        print("ready", flush=True)
        time.sleep(60)

sys.exit(run_guarded(work, False))
"""
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "ready\n"
    child.terminate()
    _, shown = child.communicate(timeout=20)
    assert child.returncode == 130
    assert shown == "Stopped.\nGo on.\n"
    assert list(tmp_path.iterdir()) == []


def test_a_bug_leaves_a_log_and_no_stack_trace(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ending(ZeroDivisionError("oh\nno")) == 1
    shown = capsys.readouterr().err
    assert "Traceback" not in shown and "ZeroDivisionError: oh)" in shown
    logs = list(tmp_path.rglob("error-*.log"))
    assert len(logs) == 1 and str(logs[0]) in shown
    assert "Traceback" in logs[0].read_text()


def test_json_is_one_object_on_stdout(capsys):
    for error, code, kind in [
        (CaptureError("a", "b"), 2, "CaptureError"),
        (KeyboardInterrupt(), 130, "Stopped"),
        (click.UsageError("c"), 2, "UsageError"),
        (MemoryError(), 2, "MemoryError"),
    ]:
        assert ending(error, as_json=True) == code
        shown = capsys.readouterr()
        facts = json.loads(shown.out)
        assert shown.err == "" and facts["ok"] is False and facts["error"]["kind"] == kind
