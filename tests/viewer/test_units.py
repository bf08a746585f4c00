"""The TypeScript's own tests and its type check, run by npm."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

VIEWER = Path(__file__).resolve().parents[2] / "viewer"


@pytest.mark.parametrize("script", ["check", "test"])
def test_npm(script):
    npm = shutil.which("npm")
    if npm is None or not (VIEWER / "node_modules").is_dir():
        pytest.skip("NOT TESTED: the player's TypeScript; install Node.js and run `make player`")
    done = subprocess.run([npm, "run", script], cwd=VIEWER, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
