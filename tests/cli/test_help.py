from __future__ import annotations

import subprocess
import sys
import time

import pytest

import splatalk
from splatalk.cli.app import COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_teaches_with_an_example(run, name):
    result = run(name, "--help")
    assert result.exit_code == 0
    assert f"  splatalk {name}" in result.stdout
    assert "--json" in result.stdout


def test_the_group_lists_every_command(run):
    result = run("--help")
    assert result.exit_code == 0
    for name in COMMANDS:
        assert f"  {name} " in result.stdout
    assert "...\n" not in result.stdout.split("Commands:")[1], "a summary was cut off"


def test_version(run):
    assert splatalk.__version__ in run("--version").stdout


def test_help_is_instant_and_loads_nothing_heavy():
    heavy = "[m for m in ('torch', 'numpy', 'cv2', 'av', 'mediapipe', 'rich', 'librosa') if m in sys.modules]"
    script = f"""
import sys
from splatalk.cli import main
try:
    main(["--help"])
except SystemExit:
    print({heavy}, file=sys.stderr)
"""
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        best = min(best, time.perf_counter() - start)
        assert done.stderr.strip() == "[]"
    assert best < 1.0, "0.1 s on an idle machine"


def test_unknown_command_option_and_missing_argument(run, run_json):
    assert run("sing").exit_code == 2
    assert run("speak", "a.avatar", "--volume", "3").exit_code == 2
    assert "Usage" in run("speak").stderr
    assert run_json("speak")["error"]["kind"] == "UsageError"
