"""Lips of nobody in particular."""

import numpy as np

from benchmarks.dominance import lips
from splatalk.speech.synthesis import Mark


def spoken(*sounds: str, each: float = 0.1) -> list[Mark]:
    return [Mark(sound, 0.2 + k * each, 0.2 + (k + 1) * each) for k, sound in enumerate(sounds)]


def at(curve: np.ndarray, k: int) -> np.ndarray:
    """In the middle of the k-th sound of 0.1 s."""
    return curve[round(100 * (0.25 + 0.1 * k))]


def test_lips_close_between_open_vowels() -> None:
    curve = lips(spoken("ɑ", "m", "ɑ"), 80, 100.0)
    assert curve.shape == (80, 2) and curve.dtype == np.float32
    assert at(curve, 1)[0] < 0.15 < 0.45 < min(at(curve, 0)[0], at(curve, 2)[0])
    assert curve[0, 0] < 0.1 and curve[-1, 0] < 0.1


def test_vowels_have_their_own_shapes() -> None:
    ah, ee, oo = (at(lips(spoken(v), 60, 100.0), 0) for v in ("ɑː", "iː", "uː"))
    assert ah[0] > ee[0] > oo[0] and ee[1] > ah[1] > oo[1]


def test_a_consonant_takes_on_the_rounding_of_its_neighbours() -> None:
    among_round, among_spread = (at(lips(spoken(v, "t", v), 80, 100.0), 1) for v in ("u", "i"))
    assert among_round[1] < -0.3 < 0.3 < among_spread[1]


def test_a_diphthong_moves() -> None:
    curve = lips(spoken("aɪ", each=0.3), 80, 100.0)
    assert curve[25, 0] > 0.6 > 0.5 > curve[45, 0]


def test_nothing_said_is_closed() -> None:
    assert np.abs(lips([], 20, 50.0)).max() == 0.0
