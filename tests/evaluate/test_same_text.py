"""Where two speakers of one text say the same: by phonemes, and by features of the words."""

from __future__ import annotations

import types

import numpy as np
import pytest

from splatalk.evaluate import same_text
from splatalk.evaluate.mouth import Lips
from splatalk.speech.synthesis import Mark

SAID = ["p", "ɪ", "_", "k", "ə", "m", "s"]


def spoken(sounds: list[str], starts: list[float]) -> list[Mark]:
    return [Mark(s, a, b) for s, a, b in zip(sounds, starts, [*starts[1:], starts[-1] + 1.0], strict=True)]


def test_phonemes_bring_times_together() -> None:
    own = spoken(SAID, [0, 1, 2, 3, 4, 5, 6])
    slower = spoken(SAID, [0.5, 2, 4, 6, 8, 10, 12])
    a, b = same_text.same_times(own, slower)
    assert (np.diff(a) > 0).all() and (np.diff(b) >= 0).all()
    np.testing.assert_allclose(np.interp([1, 2.5, 5.5], a, b), [2, 5, 11], atol=1e-3)


def test_what_only_one_of_them_says_is_stepped_over() -> None:
    """The other leaves out a vowel, says another one and makes no pause."""
    own = spoken(SAID, [0, 1, 2, 3, 4, 5, 6])
    other = spoken(["p", "ɔ", "k", "m", "s"], [0, 1, 2, 3, 4])
    a, b = same_text.same_times(own, other)
    np.testing.assert_allclose(np.interp([0.5, 3.5, 5.5, 6.5], a, b), [0.5, 2.5, 3.5, 4.5], atol=1e-3)
    assert 1 < np.interp(1.5, a, b) < 2


def test_nothing_in_common_is_no_crash() -> None:
    a, b = same_text.same_times(spoken(["p"], [0]), spoken(["s"], [0]))
    assert len(a) == len(b) == 1


def test_the_same_moment_of_slower_words_is_found() -> None:
    rng = np.random.default_rng(0)
    words = np.cumsum(rng.normal(size=(100, 12)), axis=0)
    slower = np.repeat(words, 2, axis=0) + 0.05 * rng.normal(size=(200, 12))
    at = same_text.same_moment(words, slower, 50.0)
    assert (np.diff(at) >= 0).all()
    np.testing.assert_allclose(at, np.arange(100) * 2 / 50, atol=0.1)


@pytest.mark.parametrize("told", [True, False])
def test_lips_of_a_voice_at_half_the_speed(monkeypatch: pytest.MonkeyPatch, told: bool) -> None:
    """What is said is told by phonemes, or by a clock in the features."""
    n, fps = 60, 25.0
    opening = np.sin(np.arange(n) / 3)
    sounds = ["p", "a", "s", "u", "m", "i"] * 4
    own = spoken(sounds, list(np.arange(24) * 0.1))
    said = types.SimpleNamespace(
        samples=np.ones(2 * n * 640, np.float32), phonemes=spoken(sounds, list(np.arange(24) * 0.2))
    )
    clock = types.SimpleNamespace(
        rate=50.0, extract=lambda s: np.linspace(0, 1, len(s) // 320)[:, None] * [[1, -1]] + 1
    )
    voices = []
    monkeypatch.setattr(same_text, "say", lambda text, voice: voices.append(voice) or said)
    monkeypatch.setattr(same_text, "load", lambda name: clock)
    monkeypatch.setattr(
        same_text, "predicted_lips", lambda avatar, s, count: Lips(*(np.repeat(opening, 2)[:count],) * 2)
    )
    found = same_text.synthetic_lips(
        types.SimpleNamespace(fps=fps),
        np.ones(n * 640, np.float32),
        "words",
        "de+f2",
        n,
        own if told else None,  # type: ignore[arg-type]
    )
    assert voices == ["de+f2"]
    assert np.corrcoef(found.opening, opening)[0, 1] > (0.99 if told else 0.9)
