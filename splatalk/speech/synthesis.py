"""Text to sound with the times of words, phonemes and visemes, by a synthesiser that runs on this machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol

import numpy as np

from splatalk.errors import UserError
from splatalk.speech.visemes import viseme

MAX_TEXT = 5000
"""Characters in one utterance: about six minutes."""


@dataclasses.dataclass(frozen=True)
class Mark:
    """A word or phoneme from ``start`` to ``end``, seconds."""

    text: str
    start: float
    end: float


@dataclasses.dataclass(frozen=True)
class Spoken:
    """Synthesised speech.

    Args:
        samples: (S,) float32, 16 kHz mono, -1..1.
        words: in order, as they stand in the text.
        phonemes: in order, in the International Phonetic Alphabet.
    """

    samples: np.ndarray
    words: list[Mark]
    phonemes: list[Mark]

    @property
    def visemes(self) -> list[Mark]:
        """The phonemes as mouth shapes, see ``speech.visemes``; neighbours that look alike are one."""
        merged: list[Mark] = []
        for mark in (Mark(viseme(p.text), p.start, p.end) for p in self.phonemes):
            if merged and merged[-1].text == mark.text:
                merged[-1] = dataclasses.replace(merged[-1], end=mark.end)
            else:
                merged.append(mark)
        return merged


class Synthesiser(Protocol):
    """Anything that speaks text."""

    name: str

    def say(self, text: str, voice: str, words_a_minute: int) -> Spoken: ...


_makers: dict[str, Callable[[], Synthesiser]] = {}
_made: dict[str, Synthesiser] = {}


def register(name: str, make: Callable[[], Synthesiser]) -> None:
    """Offer another synthesiser under ``name``; ``make`` is called at first use and may raise UserError."""
    _makers[name] = make
    _made.pop(name, None)


def say(text: str, voice: str = "en", words_a_minute: int = 165, synthesiser: str = "espeak") -> Spoken:
    """Speak a text.

    Args:
        text: at most ``MAX_TEXT`` characters.
        voice: a language code such as ``en`` or ``de``, or a voice the synthesiser knows.
        words_a_minute: speed, 80 to 450.
        synthesiser: ``espeak``, or a registered one.

    Raises:
        UserError: no text, too long, an unknown voice or synthesiser, or it is not installed.
    """
    text = " ".join(text.split())
    if not text:
        raise UserError("There is no text to speak.", "Give at least one word.")
    if len(text) > MAX_TEXT:
        raise UserError(f"The text has {len(text)} characters.", f"Speak at most {MAX_TEXT} at a time.")
    if not 80 <= words_a_minute <= 450:
        raise UserError(f"A speed of {words_a_minute} words a minute is not possible.", "Use 80 to 450.")
    if synthesiser not in _makers:
        raise UserError(f"There is no synthesiser {synthesiser!r}.", f"Known are: {', '.join(_makers)}.")
    if synthesiser not in _made:
        _made[synthesiser] = _makers[synthesiser]()
    return _made[synthesiser].say(text.replace("\0", " "), voice, words_a_minute)


def _espeak() -> Synthesiser:
    from splatalk.speech.espeak import Espeak

    return Espeak()


register("espeak", _espeak)
