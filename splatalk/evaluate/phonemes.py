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


def read_closures(path: Path) -> Closures:
    """Closures from a JSON list of phonemes; IPA, eSpeak NG's and ARPAbet's names of p, b and m are alike.

    Raises:
        FormatError: unreadable, of another form, or times that run backwards.
    """
    with files.explained(path, "read"):
        if path.stat().st_size > MAX_BYTES:
            raise FormatError(f"{path} is too large for phoneme times.", _HINT)
        raw = path.read_bytes()
    try:
        marks = json.loads(raw.decode("utf-8"))
        if not isinstance(marks, list) or len(marks) > MAX_MARKS:
            raise ValueError("a list is expected")
        times = [(_seconds(m["start"]), _seconds(m["end"])) for m in marks if _closed(m["phoneme"])]
        if any(end <= start for start, end in times) or any(b[0] < a[0] for a, b in itertools.pairwise(times)):
            raise ValueError("times run backwards")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FormatError(f"{path} holds no phoneme times ({type(error).__name__}: {error}).", _HINT) from error
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


def _closed(phoneme: object) -> bool:
    if not isinstance(phoneme, str):
        raise TypeError("a phoneme is text")
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
