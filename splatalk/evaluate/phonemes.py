"""When lips must close: p, b and m, from a file of phoneme times, or found in the sound."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from pathlib import Path

import numpy as np

from splatalk import files
from splatalk.errors import AssetError, FormatError
from splatalk.speech import lip_reading, load
from splatalk.speech.synthesis import Mark

MAX_BYTES = 16 * 2**20
MAX_MARKS = 200_000
LONGEST_S = 0.3
"""A closure that the sound seems to hold for longer is none."""
SURE = 0.5
"""Probability of closed lips from which one counts as found in the sound."""
_HINT = 'Write a list such as [{"start": 0.65, "end": 0.69, "phoneme": "p"}, …], times in seconds.'


@dataclasses.dataclass(frozen=True)
class Closures:
    """When p, b and m are spoken.

    Args:
        times: (K, 2) start and end, seconds, in order.
        source: where the times come from, in words for the reader.
    """

    times: np.ndarray
    source: str


def read_phonemes(path: Path) -> list[Mark]:
    """Phonemes and their times from a JSON list.

    Raises:
        FormatError: unreadable, of another form, or times that run backwards.
    """
    with files.explained(path, "read"):
        if path.stat().st_size > MAX_BYTES:
            raise FormatError(f"{path} is too large for phoneme times.", _HINT)
        raw = path.read_bytes()
    try:
        found = json.loads(raw.decode("utf-8"))
        if not isinstance(found, list) or len(found) > MAX_MARKS:
            raise ValueError("a list is expected")
        marks = [Mark(_name(m["phoneme"]), _seconds(m["start"]), _seconds(m["end"])) for m in found]
        closed = [mark for mark in marks if _closed(mark.text)]
        if any(m.end <= m.start for m in closed) or any(b.start < a.start for a, b in itertools.pairwise(marks)):
            raise ValueError("times run backwards")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FormatError(f"{path} holds no phoneme times ({type(error).__name__}: {error}).", _HINT) from error
    return marks


def read_closures(path: Path) -> Closures:
    """Closures among phonemes of a file; IPA, eSpeak NG's and ARPAbet's names of p, b and m are alike.

    Raises:
        FormatError: see ``read_phonemes``.
    """
    times = [(mark.start, mark.end) for mark in read_phonemes(path) if _closed(mark.text)]
    return Closures(np.array(times, dtype=np.float64).reshape(-1, 2), f"phoneme times from {path.name}")


def closures_of(path: Path | None, samples: np.ndarray) -> Closures:
    """From the file where there is one, else heard in the sound, else, without the model that hears them, none.

    Raises:
        FormatError: see ``read_closures``.
    """
    if path is not None:
        return read_closures(path)
    try:
        return heard_closures(samples)
    except AssetError as error:
        return Closures(np.zeros((0, 2)), f"closures, as none can be heard here ({error.message.rstrip('.')})")


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a phoneme is text")
    return value


def _closed(phoneme: str) -> bool:
    return phoneme.strip("ˈˌ'ʰː:").lower()[:1] in ("p", "b", "m") and phoneme.strip() != ""


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError("times are numbers")
    return float(value)


def heard_closures(samples: np.ndarray) -> Closures:
    """Closures that are heard in the sound by ``speech.lip_reading``.

    Args:
        samples: (S,) float32, 16 kHz.

    Raises:
        AssetError: the Whisper model cannot be had.
    """
    encoder = load(lip_reading.ENCODER)
    closed = lip_reading.viseme_probabilities(encoder.extract(samples))[:, lip_reading.CLOSED] > SURE
    edges = np.flatnonzero(np.diff(np.concatenate(([0], closed.astype(int), [0]))))
    times = edges.reshape(-1, 2) / encoder.rate
    times = times[(times[:, 1] - times[:, 0]) <= LONGEST_S]
    return Closures(times, "closures heard in the sound, by the same lip reader that closes an avatar's lips")
