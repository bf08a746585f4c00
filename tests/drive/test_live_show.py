"""Sound that is heard while a film is made of it, and memory that must not grow meanwhile."""

from __future__ import annotations

import gc

import numpy as np

from splatalk.drive.live_show import HeardSound
from splatalk.drive.memory import settle


def test_all_that_was_heard_is_there() -> None:
    heard, sound = HeardSound(), np.random.default_rng(0).normal(size=70 * 16000).astype(np.float32)
    for piece in np.split(sound, 1000):
        heard.add(piece)
    assert np.array_equal(heard.samples[0], sound) and heard.seconds == 70.0


def test_what_no_film_needs_is_not_kept() -> None:
    heard = HeardSound(kept=False)
    for _ in range(100):
        heard.add(np.zeros(16000, np.float32))
    assert heard.seconds == 100.0 and heard.samples.nbytes == 0


def test_what_exists_is_not_searched_again() -> None:
    try:
        settle()
        assert gc.get_freeze_count() > 1000 and len(gc.get_objects()) < 1000
    finally:
        gc.unfreeze()
