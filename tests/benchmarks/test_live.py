"""What the live benchmark calls growth, and what it complains about."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.live import WANTED, growth, verdict


def test_growth_is_that_of_the_second_half() -> None:
    start = np.linspace(100.0, 500.0, 300)  # five minutes in which everything starts
    assert growth([*start, *np.full(300, 500.0)]) == pytest.approx(0.0, abs=1e-6)
    assert growth([*start, *(500.0 + np.arange(300) / 60 * 3.0)]) == pytest.approx(3.0, rel=1e-3)


def test_what_is_too_much_is_told() -> None:
    fine = dict.fromkeys(WANTED, 0.0)
    assert verdict(fine) == []
    assert verdict(fine | {"drive_and_draw_p99_ms": 41.0}) == [
        "NOT REACHED: drive_and_draw_p99_ms is 41, 40 is the most"
    ]
