from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from splatalk import progress
from splatalk.cli import main


@pytest.fixture
def run() -> Callable[..., Result]:
    """Runs splatalk with the given words, as the console script would."""
    return lambda *words: CliRunner().invoke(main, [str(w) for w in words])


@pytest.fixture
def run_json(run: Callable[..., Result]) -> Callable[..., dict[str, Any]]:
    """The same under ``--json``: stdout must be exactly one object and stderr empty."""

    def call(*words: object) -> dict[str, Any]:
        result = run(*words, "--json")
        assert result.stderr == ""
        assert result.stdout.count("\n") == 1
        facts = json.loads(result.stdout)
        assert facts["ok"] == (result.exit_code == 0)
        return facts

    return call


@pytest.fixture(autouse=True)
def _loud_again() -> Iterator[None]:
    yield
    progress.configure(quiet=False)
